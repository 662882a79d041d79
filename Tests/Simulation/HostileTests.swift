import Audio
import RTP
import STUN
import TestSupport
import Testing
import WebRTC
import Wire

@Suite("Others on the network")
struct HostileTests {
    private static let stranger = address("203.0.113.66", 6666)

    /// A call of 4 s with 1 s of attack in it; what the answering side hears, and how the call stands.
    private func run(
        _ seed: UInt64, attack: (Call, _ overheard: [World.Datagram]) -> Void
    ) async throws -> (heard: [PCMInputQueue.Frame], call: Call) {
        let call = try Call.connected(seed: seed)
        var overheard: [World.Datagram] = []
        var toStranger = 0
        call.world.observe = { datagram in
            // Not checks: one that is repeated is answered, as by any agent.
            if overheard.count < 500, PacketKind(datagram.bytes.span) != .stun { overheard.append(datagram) }
            if datagram.to == Self.stranger { toStranger += datagram.bytes.count }
        }
        try await call.offerer.output.play(Signal.speech(seconds: 4))
        call.world.run(for: .seconds(2))
        for _ in 0..<100 {
            attack(call, overheard)
            call.world.run(for: .milliseconds(10))
        }
        call.world.run(for: .seconds(1))
        #expect(toStranger == 0)
        return (await call.answerer.heard(), call)
    }

    @Test("that replay and forge media alter not one sample, and get not one byte")
    func injectedMedia() async throws {
        let (undisturbed, _) = try await run(1) { _, _ in }
        let (heard, call) = try await run(1) { call, overheard in
            for datagram in overheard.suffix(20) where datagram.to == call.answerer.address {
                // As it was, from elsewhere, and changed, with the right source address or not.
                call.world.inject(datagram.bytes, from: Self.stranger, to: call.answerer)
                var changed = datagram.bytes
                changed[changed.count - 1] ^= 1
                call.world.inject(changed, from: Self.stranger, to: call.answerer)
            }
        }
        #expect(heard == undisturbed)
        #expect(call.answerer.peer.currentStatistics().dropped.unvalidated > 1000)
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test("that also forge the source address alter not one sample")
    func forgedSource() async throws {
        let (undisturbed, _) = try await run(2) { _, _ in }
        let (heard, call) = try await run(2) { call, overheard in
            // Few enough that the limit of packets is not reached.
            guard
                let datagram = overheard.last(where: {
                    $0.to == call.answerer.address && PacketKind($0.bytes.span) == .rtp
                })
            else { return }
            call.world.inject(datagram.bytes, from: call.offerer.address, to: call.answerer)
            var changed = datagram.bytes
            changed[3] &+= 1
            call.world.inject(changed, from: call.offerer.address, to: call.answerer)
        }
        #expect(heard == undisturbed)
        let statistics = call.answerer.peer.currentStatistics()
        #expect(statistics.dropped.unauthentic == 100)
        #expect(statistics.packetsDuplicate == 100)
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test("that send DTLS hellos, alerts and junk to a call that begins do not stop it", arguments: seeds(5))
    func associationRace(_ seed: UInt64) throws {
        let call = Call(seed: seed)
        try call.signal()
        let hello: [UInt8] = [22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        let alert: [UInt8] = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]
        for _ in 0..<200 {
            for endpoint in call.both {
                for datagram in [hello, alert, [20] + hello] {
                    call.world.inject(datagram, from: Self.stranger, to: endpoint)
                }
            }
            call.world.run(for: .milliseconds(5))
        }
        #expect(call.world.run(for: .seconds(5)) { call.isConnected })
        for endpoint in call.both { #expect(endpoint.peer.currentStatistics().dropped.unvalidated == 600) }
    }

    @Test("that send alerts and hellos from the peer's own address do not end a call that is up")
    func forgedAlerts() throws {
        let call = try Call.connected(seed: 3)
        for type in [20, 21, 22, 23] as [UInt8] {
            for epoch in [0, 1] as [UInt8] {
                for length in [0, 2, 40] {
                    let body = (0..<length).map { _ in UInt8.random(in: 0...255, using: &call.world.generator) }
                    call.world.inject(
                        [type, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 99, 0, UInt8(length)] + body,
                        from: call.offerer.address, to: call.answerer)
                }
            }
        }
        call.world.inject(
            [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0], from: call.offerer.address, to: call.answerer)
        call.world.run(for: .seconds(40))
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test("that do not know the password get no answer, and move nothing")
    func checks() throws {
        let call = try Call.connected(seed: 4)
        let received = call.answerer.peer.currentStatistics().dropped.stun
        for number in 0..<500 as Range<UInt64> {
            var builder = STUNBuilder(.request, id: TransactionID(tag: 1, rest: number))
            builder.add(username: call.answerer.peer.localUfrags[0] + ":xxxx")
            builder.add(priority: 1)
            builder.add(iceControlling: 1)
            builder.addUseCandidate()
            call.world.inject(
                builder.finish(key: Array("a password that is wrong".utf8)), from: Self.stranger, to: call.answerer)
            call.world.inject(
                STUNBuilder(.success, id: TransactionID(tag: call.answerer.peer.tag, rest: number))
                    .finish(key: Array("wrong".utf8)),
                from: Self.stranger, to: call.answerer)
        }
        #expect(call.answerer.peer.currentStatistics().dropped.stun == received + 1000)
        #expect(call.answerer.batch.entries.isEmpty)
        call.world.run(for: .seconds(40))
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test(
        "that send 10 000 datagrams of noise from the peer's address trap nothing and end nothing", arguments: seeds(3))
    func noise(_ seed: UInt64) async throws {
        let call = try Call.connected(seed: seed)
        var overheard: [World.Datagram] = []
        call.world.observe = { if overheard.count < 400 { overheard.append($0) } }
        try await call.offerer.output.play(Signal.tone(seconds: 28))
        call.world.run(for: .seconds(4))
        for number in 0..<10_000 {
            let endpoint = call.both[number & 1]
            let source = call.both[1 - number & 1].address
            call.world.inject(noise(like: overheard, &call.world.generator), from: source, to: endpoint)
            if number % 10 == 0 { call.world.run(for: .milliseconds(10)) }
        }
        call.world.run(for: .seconds(1))
        let before = call.answerer.peer.currentStatistics().packetsReceived
        call.world.run(for: .seconds(2))
        #expect(call.both.allSatisfy { $0.end == nil }, "seed \(seed)")
        #expect(call.answerer.peer.currentStatistics().packetsReceived - before >= 99)
    }

    private func noise(like overheard: [World.Datagram], _ generator: inout Seeded) -> [UInt8] {
        if Int.random(in: 0..<3, using: &generator) == 0 {
            var bytes = (0..<Int.random(in: 0...1500, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            // Of every protocol's first bytes.
            if !bytes.isEmpty {
                bytes[0] = ([0, 1, 20, 21, 22, 23, 64, 128, 128, 144] as [UInt8]).randomElement(using: &generator) ?? 0
            }
            return bytes
        }
        var bytes = overheard.randomElement(using: &generator)?.bytes ?? []
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
            bytes[Int.random(in: bytes.indices, using: &generator)] = .random(in: 0...255, using: &generator)
        }
        if Bool.random(using: &generator) {
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
        }
        return bytes
    }
}
