import STUN
import TURN
import TestSupport
import Testing
import Wire

/// A client and a server with nothing between them but what `loses` says.
private final class Bench {
    let server = FakeTURNServer()
    var client: Allocation
    var now = MonotonicTime.zero
    var loses: (_ datagram: [UInt8]) -> Bool = { _ in false }
    private(set) var events: [Allocation.Output] = []
    private(set) var sent: [[UInt8]] = []

    init(transport: Allocation.Transport = .datagrams, family: SocketAddress.Family = .ipv4, seed: UInt64 = 1) {
        client = Allocation(
            .init(
                transport: transport, username: "1700000000:me", password: "secret", family: family,
                transactionTag: 7, randomness: .seeded(seed)))
    }

    /// Lets everything that was said be heard.
    func settle() throws {
        while let output = client.poll() {
            guard case .transmit(let bytes) = output else {
                events.append(output)
                continue
            }
            sent.append(bytes)
            guard !loses(bytes), let answer = try server.receive(bytes, now: now), !loses(answer) else { continue }
            _ = client.receive(answer.span, now: now)
        }
    }

    func run(until end: MonotonicTime) throws {
        try settle()
        while let deadline = client.deadline, deadline <= end {
            now = max(now, deadline)
            client.handleTimeout(now: now)
            try settle()
            if let deadline = client.deadline { #expect(deadline > now) }
        }
        now = end
    }

    func allocate() throws {
        client.allocate(now: now)
        try settle()
        #expect(client.state == .allocated)
    }

    /// How long a frame of `count` bytes is.
    func frame(count: Int, to peer: SocketAddress) -> Int? {
        var buffer = [UInt8](repeating: 1, count: count + 8)
        var span = buffer.mutableSpan
        return client.frame(&span, count: count, to: peer, now: now)
    }

    func indication(_ data: [UInt8], to peer: SocketAddress) -> [UInt8]? {
        client.indication(data, to: peer, now: now)
    }

    func hear(_ bytes: [UInt8]) -> Allocation.Reception { client.receive(bytes.span, now: now) }

    func takeEvents() -> [Allocation.Output] {
        defer { events = [] }
        return events
    }
}

private let peer = SocketAddress(ipv4: 0xc633_640a, port: 4000)
private let other = SocketAddress(ipv4: 0xc633_640b, port: 4000)

@Suite("A TURN allocation")
struct AllocationTests {
    @Test("the first request has no credentials, the second those that the server asked for (RFC 8656 §7.1)")
    func allocate() throws {
        let bench = Bench()
        try bench.allocate()
        #expect(bench.takeEvents() == [.allocated(relayed: FakeTURNServer.relayed, mapped: FakeTURNServer.mapped)])
        let requests = bench.server.requests
        #expect(requests.map(\.username) == [nil, "1700000000:me"])
        #expect(requests.map(\.realm) == [nil, FakeTURNServer.realm])
        #expect(requests.allSatisfy { $0.requestedTransport == 17 && $0.requestedAddressFamily == nil })
        #expect(requests[0].id != requests[1].id)
        #expect(Set(requests.map(\.id.tag)) == [7])
    }

    @Test("a relayed IPv6 address is asked for by its family (RFC 8656 §7.1)")
    func familyV6() throws {
        let bench = Bench(family: .ipv6)
        bench.server.relayed = SocketAddress(ipv6: 0x2001_0db8 << 32, 9, port: 50_000)
        try bench.allocate()
        #expect(bench.server.requests.allSatisfy { $0.requestedAddressFamily == .ipv6 })
    }

    @Test("a stale nonce is no obstacle to any request (RFC 8489 §9.2.5)", arguments: [3, 4, 8, 9] as [UInt16])
    func staleNonce(method: UInt16) throws {
        let bench = Bench()
        if method != 3 { try bench.allocate() }
        bench.server.rotate()
        switch method {
        case 3: try bench.allocate()
        case 4: bench.client.check(now: bench.now)
        case 8: bench.client.permit(peer, now: bench.now)
        default: bench.client.bind(peer, now: bench.now)
        }
        try bench.settle()
        #expect(bench.client.state == .allocated)
        #expect(bench.server.requests.suffix(2).allSatisfy { $0.method == method })
        #expect(bench.server.requests.last?.nonce == bench.server.nonce)
        if method == 8 { #expect(bench.events.last == .permitted(peer)) }
        if method == 9 { #expect(bench.frame(count: 10, to: peer) == 14) }
    }

    @Test("a server that finds each nonce stale is left after three")
    func staleForever() throws {
        let bench = Bench()
        bench.server.rotatesForEachRequest = true
        bench.client.allocate(now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.ended(.unauthorized)])
        #expect(bench.sent.count == 4)
        #expect(bench.client.deadline == nil)
    }

    @Test("wrong credentials are not tried again")
    func wrongPassword() throws {
        let bench = Bench()
        bench.server.password = "another"
        bench.client.allocate(now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.ended(.unauthorized)])
        #expect(bench.sent.count == 2)
    }

    @Test(
        "what the server refuses is told as it is",
        arguments: [
            (300, .tryAlternate(peer)), (403, .refused(code: 403, reason: "so it is")), (437, .mismatch),
            (440, .refused(code: 440, reason: "so it is")), (441, .unauthorized),
            (442, .refused(code: 442, reason: "so it is")), (486, .refused(code: 486, reason: "so it is")),
            (508, .refused(code: 508, reason: "so it is")),
        ] as [(Int, Allocation.EndReason)])
    func refused(code: Int, reason: Allocation.EndReason) throws {
        let bench = Bench()
        bench.server.error = (code, nil)
        bench.server.alternate = peer
        bench.client.allocate(now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.ended(reason)])
        #expect(bench.client.state == .ended)
        #expect(bench.client.poll() == nil)
    }

    @Test("a request is sent six times in 8 s, as it is, and then the server is given up")
    func silent() throws {
        let bench = Bench()
        bench.server.isSilent = true
        bench.client.allocate(now: bench.now)
        try bench.run(until: .zero + .milliseconds(7400))
        #expect(bench.sent.count == 6)
        #expect(Set(bench.sent).count == 1)
        #expect(bench.events.isEmpty)
        try bench.run(until: .zero + .seconds(8))
        #expect(bench.takeEvents() == [.ended(.unanswered)])
        #expect(bench.sent.count == 6)
    }

    @Test("over a stream nothing is sent twice, and 8 s are all")
    func silentStream() throws {
        let bench = Bench(transport: .stream)
        bench.server.isSilent = true
        bench.client.allocate(now: bench.now)
        try bench.run(until: .zero + .milliseconds(7990))
        #expect(bench.events.isEmpty)
        try bench.run(until: .zero + .seconds(8))
        #expect(bench.takeEvents() == [.ended(.unanswered)])
        #expect(bench.sent.count == 1)
    }

    @Test(
        "at 40 % loss an allocation, a permission and a channel come about", arguments: 0..<50 as Range<UInt64>
    )
    func loss(seed: UInt64) throws {
        let bench = Bench(seed: seed)
        var random = Seeded(seed)
        bench.loses = { _ in random.chance(0.4) }
        bench.client.allocate(now: bench.now)
        try bench.run(until: .zero + .seconds(20))
        guard bench.client.state == .allocated else {
            // An answer that was lost left an allocation behind, or nothing came through at all.
            #expect(bench.events == [.ended(.mismatch)] || bench.events == [.ended(.unanswered)])
            return
        }
        bench.client.permit(peer, now: bench.now)
        bench.client.bind(peer, now: bench.now)
        try bench.run(until: bench.now + .seconds(10))
        #expect(bench.events.count == 2)
    }

    @Test(
        "for two hours, with a new nonce every ten minutes, no datagram is lost (RFC 8656 §8, §9, §12)",
        arguments: [false, true])
    func twoHours(hasChannel: Bool) throws {
        let bench = Bench()
        try bench.allocate()
        bench.client.permit(peer, now: bench.now)
        if hasChannel { bench.client.bind(peer, now: bench.now) }
        try bench.settle()
        for second in 1...7200 {
            try bench.run(until: .zero + .seconds(second))
            if second % 600 == 0 { bench.server.rotate() }
            let data = Array("\(second)".utf8)
            let incoming = try #require(bench.server.relay(data, from: peer, now: bench.now))
            guard case .data(let range, peer) = bench.hear(incoming) else {
                Issue.record("nothing at \(second) s")
                return
            }
            #expect(Array(incoming[range]) == data)
            var buffer = [UInt8](repeating: 0, count: 4) + data
            var span = buffer.mutableSpan
            if let length = bench.client.frame(&span, count: data.count, to: peer, now: bench.now) {
                #expect(hasChannel)
                _ = try bench.server.receive(Array(buffer.prefix(length)), now: bench.now)
            } else {
                let indication = try #require(bench.indication(data, to: peer))
                _ = try bench.server.receive(indication, now: bench.now)
            }
            #expect(bench.server.relayedData.count == second)
            #expect(bench.server.relayedData.last.map { $0.peer == peer && $0.data == data } == true)
        }
        // A refresh in nine minutes, a permission in four, a channel in nine, and what stale nonces add.
        #expect(bench.server.requests.count <= 2 + 15 + 34 + (hasChannel ? 15 : 0) + 40)
    }

    @Test("a lifetime of any length is refreshed before it ends", arguments: [1, 2, 10, 61, 600, 3600] as [UInt32])
    func lifetimes(seconds: UInt32) throws {
        let bench = Bench()
        bench.server.lifetime = seconds
        try bench.allocate()
        let before = bench.server.requests.count
        try bench.run(until: .zero + .seconds(Int64(seconds) * 10))
        #expect(bench.client.state == .allocated)
        #expect((10...40).contains(bench.server.requests.count - before))
    }

    @Test(
        "a server that has forgotten is found out by a check, and one that is gone within 4 s",
        arguments: [true, false])
    func check(forgets: Bool) throws {
        let bench = Bench()
        try bench.allocate()
        if forgets { bench.server.forget() } else { bench.server.isSilent = true }
        _ = bench.takeEvents()
        bench.client.check(now: bench.now)
        bench.client.check(now: bench.now)
        try bench.run(until: .zero + .seconds(8))
        #expect(bench.takeEvents() == [.ended(forgets ? .mismatch : .unanswered)])
    }

    @Test("a server that has forgotten says so to any request")
    func forgotten() throws {
        let bench = Bench()
        try bench.allocate()
        bench.server.forget()
        _ = bench.takeEvents()
        bench.client.permit(peer, now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.ended(.mismatch)])
    }

    @Test("what could not be refreshed ends with its lifetime")
    func expired() throws {
        let bench = Bench()
        bench.server.lifetime = 4
        try bench.allocate()
        bench.server.isSilent = true
        _ = bench.takeEvents()
        try bench.run(until: .zero + .seconds(5))
        #expect(bench.takeEvents() == [.ended(.expired)])
    }

    @Test("a peer that is refused is told, and others are not concerned", arguments: [403, 508])
    func refusedPeer(code: Int) throws {
        let bench = Bench()
        try bench.allocate()
        _ = bench.takeEvents()
        bench.server.error = (code, 8)
        bench.client.permit(peer, now: bench.now)
        try bench.settle()
        bench.server.error = nil
        bench.client.permit(other, now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.refused(peer, code: code), .permitted(other)])
        #expect(bench.indication([1], to: peer) == nil)
        #expect(bench.indication([1], to: other) != nil)
    }

    @Test(
        "a permission that is a bad request makes it ask whether the allocation is still there",
        arguments: [true, false])
    func badRequest(isThere: Bool) throws {
        let bench = Bench()
        try bench.allocate()
        _ = bench.takeEvents()
        bench.server.error = (400, 8)
        if !isThere { bench.server.forget() }
        bench.client.permit(peer, now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.refused(peer, code: 400)] + (isThere ? [] : [.ended(.mismatch)]))
        #expect(bench.server.requests.count { $0.method == 4 } == 1)
    }

    @Test("peers that are refused take no room, however many there are")
    func refusedPeers() throws {
        let bench = Bench()
        try bench.allocate()
        bench.server.error = (403, 8)
        for number in 0..<3000 {
            bench.client.permit(SocketAddress(ipv4: 0x0a00_0000 + UInt32(number / 2), port: 9), now: bench.now)
            try bench.settle()
        }
        bench.server.error = nil
        _ = bench.takeEvents()
        for number in 0..<1024 {
            bench.client.permit(SocketAddress(ipv4: 0xc633_0000 + UInt32(number), port: 9), now: bench.now)
            try bench.settle()
        }
        #expect(bench.takeEvents().count == 1024)
    }

    @Test("a channel that is refused is asked for again while its peer is in use, and else goes to another")
    func refusedChannel() throws {
        let bench = Bench()
        try bench.allocate()
        bench.server.error = (508, 9)
        for peer in [peer, other] {
            bench.client.permit(peer, now: bench.now)
            bench.client.bind(peer, now: bench.now)
        }
        try bench.settle()
        bench.server.error = nil
        #expect(bench.client.channelCount == 2)
        for second in 1...130 {
            #expect(bench.frame(count: 5, to: peer) == (second > 120 ? 9 : nil))
            if second <= 120 { #expect(bench.indication([1], to: peer) != nil) }
            try bench.run(until: .zero + .seconds(second))
        }
        #expect(bench.client.channelCount == 1)
        #expect(bench.server.requests.count { $0.method == 9 } == 3, "two refusals, and one that is granted")
    }

    @Test("a permission is for all ports of an address, and asked for once (RFC 8656 §9)")
    func samePermission() throws {
        let bench = Bench()
        try bench.allocate()
        bench.client.permit(peer, now: bench.now)
        var second = peer
        second.port += 1
        bench.client.permit(second, now: bench.now)
        try bench.settle()
        bench.client.permit(second, now: bench.now)
        try bench.settle()
        #expect(bench.server.requests.count { $0.method == 8 } == 1)
        #expect(bench.indication([1], to: second) != nil)
        #expect(bench.indication([1], to: other) == nil)
        for minute in 1...60 {
            try bench.run(until: .zero + .seconds(60 * minute))
            #expect(bench.indication([1], to: second) != nil)
        }
        #expect((14...17).contains(bench.server.requests.count { $0.method == 8 }), "one in four minutes for both")
    }

    @Test("more peers than it may have are left out")
    func tooManyPeers() throws {
        let bench = Bench()
        try bench.allocate()
        for number in 0..<1100 {
            bench.client.permit(SocketAddress(ipv4: 0xc633_0000 + UInt32(number), port: 9), now: bench.now)
            try bench.settle()
        }
        #expect(bench.server.requests.count { $0.method == 8 } == 1024)
    }

    @Test("peers that nothing goes to any more are not renewed, and are let in again when something does")
    func idlePeers() throws {
        let bench = Bench()
        try bench.allocate()
        for peer in [peer, other] {
            bench.client.permit(peer, now: bench.now)
            bench.client.bind(peer, now: bench.now)
        }
        try bench.settle()
        for minute in 1...30 {
            try bench.run(until: .zero + .seconds(60 * minute))
            #expect(bench.frame(count: 5, to: peer) == 9)
        }
        #expect(bench.frame(count: 5, to: other) == nil)
        #expect(bench.server.requests.count { $0.xorPeerAddress == other } == 2)
        _ = bench.takeEvents()
        bench.client.permit(other, now: bench.now)
        bench.client.bind(other, now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.permitted(other)])
        #expect(bench.frame(count: 5, to: other) == 9)
    }

    @Test("a permission that ran out while its channel lives is asked for again")
    func lapsedPermission() throws {
        let bench = Bench()
        try bench.allocate()
        bench.client.bind(peer, now: bench.now)
        try bench.settle()
        #expect(bench.frame(count: 5, to: peer) == 9)
        try bench.run(until: .zero + .seconds(350))
        #expect(bench.frame(count: 5, to: peer) == nil)
        #expect(bench.indication([1], to: peer) == nil)
        bench.client.permit(peer, now: bench.now)
        bench.client.bind(peer, now: bench.now)
        try bench.settle()
        #expect(bench.frame(count: 5, to: peer) == 9)
        #expect(bench.server.requests.count { $0.method == 9 } == 1)
    }

    @Test("channels do not run out: those of peers that are gone serve again, once the server has forgotten them")
    func channelsServeAgain() throws {
        let bench = Bench()
        try bench.allocate()
        func open(_ number: UInt32) throws -> Bool {
            let peer = SocketAddress(ipv4: 0x0b00_0000 + number, port: 9)
            bench.client.bind(peer, now: bench.now)
            try bench.settle()
            return bench.frame(count: 5, to: peer) != nil
        }
        var opened = 0
        for hour in 0..<10 {
            for _ in 0..<500 where try open(UInt32(opened)) { opened += 1 }
            try bench.run(until: .zero + .seconds(3600 * (hour + 1)))
        }
        #expect(opened == 5000)
        #expect(Set(bench.server.requests.filter { $0.method == 9 }.compactMap(\.channelNumber)).count == 4096)
    }

    @Test("what peers send who may not, and what comes on unknown channels, is dropped")
    func uninvited() throws {
        let bench = Bench()
        try bench.allocate()
        bench.client.permit(peer, now: bench.now)
        bench.client.bind(peer, now: bench.now)
        try bench.settle()
        var builder = STUNBuilder(.indication, method: 7, id: TransactionID(tag: 1, rest: 2))
        builder.add(xorPeerAddress: other)
        builder.add(data: [1, 2, 3])
        let indication = builder.finish(key: nil)
        #expect(bench.hear(indication) == .dropped(.notPermitted))
        #expect(bench.hear([0x40, 1, 0, 1, 9]) == .dropped(.unknownChannel))
        #expect(bench.hear([0x40, 0, 0, 1, 9]) == .data(4..<5, from: peer))
        #expect(bench.hear([0x40, 0, 0, 2, 9]) == .dropped(.malformed))
        #expect(bench.hear([0x80, 0, 0, 1, 9]) == .dropped(.malformed))
        #expect(bench.hear([]) == .dropped(.malformed))
    }

    @Test("a forged answer is dropped, and the true one still counts")
    func forged() throws {
        let bench = Bench()
        bench.client.allocate(now: bench.now)
        guard case .transmit(let first)? = bench.client.poll() else { return }
        let challenge = try #require(try bench.server.receive(first, now: bench.now))
        _ = bench.hear(challenge)
        guard case .transmit(let second)? = bench.client.poll() else { return }
        let id = try STUNMessage(parsing: second.span).id
        for (forgedID, key) in [(id, nil), (id, [1, 2, 3]), (TransactionID(tag: 7, rest: 1), [1])] as [(_, [UInt8]?)] {
            var builder = STUNBuilder(.success, method: 3, id: forgedID)
            builder.add(xorRelayedAddress: other)
            builder.add(lifetime: 600)
            let forgery = builder.finish(key: key)
            #expect(
                bench.hear(forgery)
                    == .dropped(forgedID == id ? .badIntegrity : .unknownTransaction))
        }
        let answer = try #require(try bench.server.receive(second, now: bench.now))
        #expect(bench.hear(answer) == .handled)
        #expect(bench.client.state == .allocated)
    }

    @Test("an answer that makes no sense ends it", arguments: 0..<3)
    func senseless(kind: Int) throws {
        let bench = Bench()
        switch kind {
        case 0: bench.server.lifetime = 0
        case 1: bench.server.relayed.port = 0
        default: bench.server.relayed = SocketAddress(ipv6: 1, 2, port: 3)
        }
        bench.client.allocate(now: bench.now)
        try bench.settle()
        #expect(bench.takeEvents() == [.ended(.invalidAnswer)])
    }

    @Test("on closing it is given back, and nothing is said after that")
    func close() throws {
        let bench = Bench()
        try bench.allocate()
        bench.client.permit(peer, now: bench.now)
        try bench.settle()
        bench.client.close()
        try bench.settle()
        #expect(bench.server.requests.last?.lifetime == 0)
        #expect(bench.server.allocationEnds == nil)
        #expect(bench.client.deadline == nil)
        bench.client.permit(other, now: bench.now)
        bench.client.handleTimeout(now: bench.now + .seconds(1000))
        #expect(bench.client.poll() == nil)
        #expect(bench.indication([1], to: peer) == nil)
    }

    @Test("frames on a channel: 4 bytes before, and over a stream a multiple of four (RFC 8656 §12.5)")
    func framing() throws {
        for transport in [Allocation.Transport.datagrams, .stream] {
            let bench = Bench(transport: transport)
            try bench.allocate()
            #expect(bench.frame(count: 5, to: peer) == nil)
            bench.client.bind(peer, now: bench.now)
            try bench.settle()
            #expect(bench.frame(count: 5, to: peer) == (transport == .stream ? 12 : 9))
            #expect(bench.frame(count: 5, to: other) == nil)
            #expect(bench.frame(count: 70_000, to: peer) == nil)
            for (length, count) in [(5, 2), (3, 0), (9, 5)] {
                var short = [UInt8](repeating: 7, count: length)
                var span = short.mutableSpan
                let isEnough = length == 9 && transport == .datagrams
                #expect((bench.client.frame(&span, count: count, to: peer, now: bench.now) == nil) == !isEnough)
            }
        }
    }

    @Test("changed answers never trap", arguments: 0..<200 as Range<UInt64>)
    func mutated(seed: UInt64) throws {
        var random = Seeded(seed)
        let bench = Bench(seed: seed)
        bench.client.allocate(now: bench.now)
        bench.client.permit(peer, now: bench.now)
        for _ in 0..<40 {
            while let output = bench.client.poll() {
                guard case .transmit(let bytes) = output, var answer = try? bench.server.receive(bytes, now: bench.now)
                else { continue }
                for _ in 0..<Int(random.next() % 3) where !answer.isEmpty {
                    answer[Int(random.next() % UInt64(answer.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                if random.chance(0.1) { answer.removeLast(Int(random.next() % UInt64(answer.count))) }
                _ = bench.hear(answer)
            }
            bench.client.permit(peer, now: bench.now)
            bench.client.bind(other, now: bench.now)
            bench.now = bench.now + .milliseconds(Int64(random.next() % 60_000))
            bench.client.handleTimeout(now: bench.now)
        }
    }
}
