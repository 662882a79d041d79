import Glibc
import ICE
import STUN
import TURN
import TestSupport
import Testing
import WebRTC
import Wire

@testable import Media

/// A search on loopback, driven by hand and by a clock of its own. Each allocation that is asked for has a server for itself.
private final class Bench {
    /// What one address has for those who ask there.
    final class Host {
        let socket = TestSocket()
        let address: SocketAddress
        var configure: (FakeTURNServer) -> Void = { _ in }
        var isSilent = false
        var allocations: [UInt16: FakeTURNServer] = [:]
        /// In the order they were first asked.
        var order: [FakeTURNServer] = []

        init() throws {
            address = loopback.with(port: try #require(socket.bind()))
        }

        func settle(_ now: MonotonicTime) throws -> Bool {
            var isBusy = false
            while let (bytes, port) = socket.receiveWithSource() {
                guard !isSilent else { continue }
                isBusy = true
                let server = allocations[port] ?? FakeTURNServer()
                if allocations[port] == nil {
                    server.relayed.port = 50_000 + UInt16(order.count)
                    configure(server)
                    allocations[port] = server
                    order.append(server)
                }
                if let answer = try server.receive(bytes, now: now) { socket.send(answer, to: port) }
            }
            return isBusy
        }
    }

    let hosts: [Host]
    let search: RelaySearch
    let poller: Poller
    var now = MonotonicTime.zero
    private(set) var news: [String] = []

    init(hosts count: Int = 1, forbidden: [SocketAddress] = []) throws {
        hosts = try (0..<count).map { _ in try Host() }
        poller = try Poller()
        search = RelaySearch(
            local: [loopback], tag: 1, poller: poller,
            dialRules: DialRules(allowsLoopback: true, forbidden: forbidden))
    }

    func ask(username: String = "me", password: String = "secret") throws {
        search.ask(
            hosts.enumerated().map { index, host in
                RelayServer(
                    name: "server \(index)", address: host.address, transport: .udp, username: username,
                    password: password)
            }, now: now)
        try settle()
    }

    /// Lets everything that was said be heard.
    func settle() throws {
        var isBusy = true
        while isBusy {
            isBusy = false
            for host in hosts where try host.settle(now) { isBusy = true }
            var ready: [Int32] = []
            poller.forEachReady { ready.append($0) }
            for descriptor in ready {
                var buffer = [UInt8](repeating: 0, count: 2048)
                let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                guard count > 0, let port = search.port(descriptor: descriptor) else { continue }
                isBusy = true
                _ = port.receive(buffer.span.extracting(0..<count), from: port.server.address, now: now)
                search.notice(port, now: now)
            }
            takeNews()
        }
    }

    private func takeNews() {
        while let output = search.poll() {
            switch output {
            case .available(let port): news.append("available \(port.candidate?.address.port ?? 0)")
            case .lost(let port): news.append("lost \(port.candidate?.address.port ?? 0)")
            case .retired(let port): news.append("retired \(port.candidate?.address.port ?? 0)")
            case .settled: break
            case .unavailable(let reasons): news.append("unavailable: " + reasons.joined(separator: "; "))
            }
        }
    }

    func run(for duration: Duration) throws {
        let end = now + duration
        try settle()
        while let deadline = search.deadline, deadline <= end {
            now = max(now, deadline)
            search.handleTimeout(now: now)
            try settle()
        }
        now = end
    }

    func takeAllNews() -> [String] {
        defer { news = [] }
        return news
    }

    /// Has the newest relay carry a datagram to a peer.
    func use(_ path: Int? = nil) throws {
        let batch = DatagramBatch(capacity: 1)
        let path = try #require(path ?? search.candidates.last?.path)
        batch.append([0x80, 1, 2, 3], to: SocketAddress(ipv4: 0xc633_640a, port: 4000), path: path)
        let port = try #require(search.port(path: path))
        port.send(batch.entries[0], of: batch, now: now)
        search.notice(port, now: now)
        try settle()
    }
}

extension DatagramBatch {
    fileprivate func append(_ bytes: [UInt8], to destination: SocketAddress, path: Int) {
        append(bytes.span, to: destination, path: path)
    }
}

/// A server that has no IPv6, as most.
private func onlyIPv4(_ server: FakeTURNServer) {
    server.refusesIPv6 = true
}

@Suite("The search for relays")
struct RelaySearchTests {
    @Test("finds an address of each IP version that the server has, and goes on with what there is")
    func finds() throws {
        let bench = try Bench()
        bench.hosts[0].configure = onlyIPv4
        #expect(!bench.search.isGathering)
        try bench.ask()
        #expect(bench.takeAllNews() == ["available 50000"])
        #expect(!bench.search.isGathering)
        #expect(bench.search.candidates.map(\.address) == [FakeTURNServer.relayed.with(port: 50_000)])
        #expect(bench.search.candidates[0].relatedAddress == FakeTURNServer.mapped)
        try bench.run(for: .seconds(3600))
        #expect(bench.takeAllNews().isEmpty)
        #expect(bench.hosts[0].order[0].requests.count > 6)
    }

    @Test("is under way when servers are expected, until they turn out to be none")
    func announced() throws {
        let bench = try Bench()
        bench.search.isExpected = true
        #expect(bench.search.isGathering && bench.search.poll() == nil)
        bench.search.ask([], now: bench.now)
        #expect(!bench.search.isGathering)
        guard case .settled? = bench.search.poll() else { Issue.record("calls are not told"); return }
    }

    @Test("gives each server half a second's start on the next, and stays with the first that answers")
    func headStart() throws {
        let bench = try Bench(hosts: 3)
        for host in bench.hosts { host.configure = onlyIPv4 }
        bench.hosts[0].isSilent = true
        try bench.ask()
        #expect(bench.takeAllNews().isEmpty)
        #expect(bench.search.isGathering)
        try bench.run(for: .milliseconds(400))
        #expect(bench.hosts[1].order.isEmpty)
        try bench.run(for: .milliseconds(200))
        #expect(bench.takeAllNews() == ["available 50000"])
        bench.hosts[0].isSilent = false
        try bench.run(for: .seconds(60))
        #expect(bench.takeAllNews().isEmpty)
        #expect(bench.hosts[2].order.allSatisfy { $0.allocationEnds == nil })
        // The first one's allocation, which came too late, is given back.
        #expect(bench.hosts[0].order.allSatisfy { $0.allocationEnds == nil })
    }

    @Test("says why there is none, and asks again after a while")
    func unavailable() throws {
        let bench = try Bench(hosts: 2)
        bench.hosts[0].configure = { $0.password = "another" }
        bench.hosts[1].isSilent = true
        try bench.ask()
        try bench.run(for: .seconds(9))
        let news = bench.takeAllNews()
        #expect(news.count == 1)
        #expect(news[0].contains("server 0: it does not take the credentials (401)"), "\(news)")
        #expect(news[0].contains("server 1: no answer"))
        #expect(!bench.search.isGathering && bench.search.candidates.isEmpty)
        bench.hosts[1].isSilent = false
        bench.hosts[1].configure = onlyIPv4
        try bench.run(for: .seconds(12))
        #expect(bench.takeAllNews() == ["available 50000"])
    }

    @Test("follows a server that names another, unless nobody may be asked there (RFC 8489 §10)")
    func alternate() throws {
        let bench = try Bench(hosts: 2)
        let next = bench.hosts[1].address
        bench.hosts[0].configure = { server in
            server.error = (300, nil)
            server.alternate = next
        }
        bench.hosts[1].configure = onlyIPv4
        bench.search.ask(
            [
                RelayServer(
                    name: "first", address: bench.hosts[0].address, transport: .udp, username: "me", password: "secret")
            ], now: bench.now)
        try bench.settle()
        #expect(bench.takeAllNews() == ["available 50000"])

        for forbidden in [SocketAddress(ipv4: 0xa9fe_a9fe, port: 3478), next] {
            let bench = try Bench(forbidden: [next])
            bench.hosts[0].configure = { server in
                server.error = (300, nil)
                server.alternate = forbidden
            }
            try bench.ask()
            #expect(bench.takeAllNews().first?.contains("it names another server") == true)
        }
    }

    @Test("a server that sends on without end is left")
    func circle() throws {
        let bench = try Bench()
        let same = bench.hosts[0].address
        bench.hosts[0].configure = { server in
            server.error = (300, nil)
            server.alternate = same
        }
        try bench.ask()
        #expect(bench.takeAllNews().count == 1)
        #expect(bench.hosts[0].order.count <= 6)
    }

    @Test("asks from another port where the server has an allocation of the first (437)")
    func mismatch() throws {
        let bench = try Bench()
        let host = bench.hosts[0]
        host.configure = { server in
            onlyIPv4(server)
            if host.order.count < 2 { server.error = (437, nil) }
        }
        try bench.ask()
        #expect(bench.takeAllNews().contains { $0.hasPrefix("available") })
        #expect(host.order.count >= 3)
    }

    @Test(
        "an address that nobody may dial is none, whoever says so",
        arguments: [
            SocketAddress(ipv4: 0xa9fe_a9fe, port: 50_000), SocketAddress(ipv4: 0xe000_0001, port: 50_000),
            SocketAddress(ipv4: 0, port: 50_000), SocketAddress(ipv4: 0xcb00_7109, port: 53),
        ])
    func lies(address: SocketAddress) throws {
        let bench = try Bench()
        bench.hosts[0].configure = { server in
            onlyIPv4(server)
            server.relayed = address
        }
        try bench.ask()
        #expect(bench.takeAllNews() == ["unavailable: server 0: it gives an address that cannot be reached"])
        #expect(bench.search.candidates.isEmpty)
    }

    @Test("with new credentials there is a new address, and the old one stays for as long as it is used")
    func newCredentials() throws {
        let bench = try Bench()
        bench.hosts[0].configure = onlyIPv4
        try bench.ask()
        let former = try #require(bench.search.candidates.first).path
        try bench.use(former)
        bench.hosts[0].configure = { server in
            onlyIPv4(server)
            server.relayed.port = 51_000
            server.password = "new"
        }
        try bench.ask(password: "new")
        #expect(bench.takeAllNews() == ["available 50000", "available 51000"])
        #expect(bench.search.candidates.map(\.address.port) == [51_000])
        for _ in 0..<10 {
            try bench.run(for: .seconds(60))
            try bench.use(former)
        }
        #expect(bench.takeAllNews().isEmpty)
        try bench.run(for: .seconds(200))
        #expect(bench.search.port(path: former) == nil)
        #expect(bench.takeAllNews() == ["retired 50000"])
        #expect(bench.hosts[0].order[0].allocationEnds == nil, "given back")
        #expect(bench.search.candidates.map(\.address.port) == [51_000])
    }

    @Test("an old one that the server ends with its credentials is lost, and the new one is there")
    func refusedCredentials() throws {
        let bench = try Bench()
        bench.hosts[0].configure = onlyIPv4
        try bench.ask()
        let former = try #require(bench.search.candidates.first).path
        try bench.ask()
        _ = bench.takeAllNews()
        // It is used all the time, until the server no longer takes who it was made by.
        bench.hosts[0].order[0].password = "expired"
        for _ in 0..<20 {
            guard bench.search.port(path: former) != nil else { break }
            try bench.use(former)
            try bench.run(for: .seconds(60))
        }
        #expect(bench.takeAllNews() == ["lost 50000"])
        #expect(bench.search.candidates.count == 1)
    }

    @Test("a server that was restarted is noticed by its silence within three seconds, and asked anew")
    func restarted() throws {
        let bench = try Bench()
        bench.hosts[0].configure = onlyIPv4
        try bench.ask()
        try bench.use()
        bench.hosts[0].order[0].forget()
        bench.hosts[0].configure = { server in
            onlyIPv4(server)
            server.relayed.port = 51_000
        }
        _ = bench.takeAllNews()
        try bench.run(for: .seconds(1))
        try bench.use()
        try bench.run(for: .seconds(3))
        #expect(bench.takeAllNews() == ["lost 50000", "available 51000"])
    }

    @Test("one that is gone is noticed within seven, and the next one is asked")
    func gone() throws {
        let bench = try Bench(hosts: 2)
        for host in bench.hosts { host.configure = onlyIPv4 }
        bench.hosts[1].configure = { server in
            onlyIPv4(server)
            server.relayed.port = 51_000
        }
        try bench.ask()
        try bench.use()
        _ = bench.takeAllNews()
        bench.hosts[0].isSilent = true
        try bench.use()
        try bench.run(for: .milliseconds(7_500))
        #expect(bench.takeAllNews() == ["lost 50000", "available 51000"])
    }

    @Test("a host that signaling comes from is let in, if it is one that may be talked to")
    func expected() throws {
        let bench = try Bench()
        bench.hosts[0].configure = onlyIPv4
        try bench.ask()
        let before = bench.hosts[0].order[0].requests.count
        let host = SocketAddress(ipv4: 0xc633_6409, port: 0)
        for each in [
            host, SocketAddress(ipv4: 0xa9fe_a9fe, port: 0), SocketAddress(ipv6: 0x2001_0db8 << 32, 1, port: 0),
        ] {
            bench.search.expect(each, now: bench.now)
        }
        try bench.settle()
        let requests = bench.hosts[0].order[0].requests.dropFirst(before)
        #expect(requests.map(\.method) == [8])
        #expect(requests.first?.xorPeerAddress?.hasHost(of: host) == true)
    }

    @Test("while nothing is sent nobody is asked but for a refresh in nine minutes")
    func quiet() throws {
        let bench = try Bench()
        bench.hosts[0].configure = onlyIPv4
        try bench.ask()
        let before = bench.hosts[0].order[0].requests.count
        try bench.run(for: .seconds(480))
        #expect(bench.hosts[0].order[0].requests.count == before)
    }
}
