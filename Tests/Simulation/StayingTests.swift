import Audio
import Testing
import Wire

@testable import ICE
@testable import WebRTC

@Suite("A call stays")
struct StayingTests {
    private static let (gateway, second) = (address("192.0.2.1", 40_000), address("192.0.2.2", 40_001))
    private static let (caller, other) = (address("198.51.100.2", 50_000), address("198.51.100.3", 50_001))

    /// A call between two sides with two addresses each, that is up, and both talk.
    private func call(_ seed: UInt64, isLite: Bool = false, talks: Bool = true) async throws -> (
        World, offerer: Endpoint, answerer: Endpoint
    ) {
        let world = World(seed: seed)
        let encoder = EncoderSettings(complexity: 0)
        let offerer = Endpoint(.offering, at: [Self.caller, Self.other], seed: seed &* 2, encoder: encoder)
        let answerer = Endpoint(
            .answering, at: [Self.gateway, Self.second], seed: seed &* 2 &+ 1, isLite: isLite, encoder: encoder)
        world.nodes = [offerer, answerer]
        let answer = try answerer.peer.answer(offer: offerer.peer.makeOffer(), now: world.now)
        for line in answer.split(separator: "\r\n") where line.hasPrefix("a=candidate:") {
            offerer.note(String(line.dropFirst(2)))
        }
        try offerer.peer.accept(answer: answer, now: world.now)
        for candidate in offerer.peer.localCandidates { answerer.add(candidate: candidate, now: world.now) }
        try #require(world.run(for: .seconds(2)) { offerer.isConnected && answerer.isConnected })
        // At any time between two checks of consent.
        world.run(for: .milliseconds(Int.random(in: 3_000...9_000, using: &world.generator)))
        for endpoint in [offerer, answerer] where talks { try await endpoint.output.play(Signal.tone(seconds: 12)) }
        world.run(for: .seconds(1))
        #expect(answerer.peer.ice.selected?.remote == Self.caller)
        #expect(offerer.peer.ice.selected?.remote == Self.gateway)
        return (world, offerer, answerer)
    }

    /// The longest time in the next seconds in which an endpoint gets no media.
    private func gaps(_ world: World, _ endpoints: [Endpoint], in duration: Duration = .seconds(4)) -> [Duration] {
        var counts = endpoints.map { $0.peer.currentStatistics().packetsReceived }
        var since = endpoints.map { _ in world.now }
        var longest = endpoints.map { _ in Duration.zero }
        let end = world.now + duration
        while world.now < end {
            world.run(for: .milliseconds(10))
            for (index, endpoint) in endpoints.enumerated() {
                let count = endpoint.peer.currentStatistics().packetsReceived
                longest[index] = max(longest[index], world.now - since[index])
                if count > counts[index] { (counts[index], since[index]) = (count, world.now) }
            }
        }
        return longest
    }

    private func expectShort(_ gaps: [Duration], _ seed: UInt64) {
        #expect(gaps.allSatisfy { $0 <= .seconds(2) }, "seed \(seed): \(gaps)")
        #expect(gaps.allSatisfy { $0 >= .milliseconds(100) }, "seed \(seed): \(gaps), so nothing happened")
    }

    @Test(
        "a translator moves the peer, or us: no more than 2 s without media", arguments: seeds(5), [true, false])
    func rebinding(_ seed: UInt64, ofOfferer: Bool) async throws {
        let (world, offerer, answerer) = try await call(seed)
        world.translations[ofOfferer ? Self.caller : Self.gateway] = address("203.0.113.77", 3333)
        expectShort(gaps(world, [offerer, answerer]), seed)
        #expect([offerer, answerer].allSatisfy { $0.events.map(\.event) == [.connected] })
    }

    @Test(
        "the peer's address is gone, or ours, and there is another: no more than 2 s without media",
        arguments: seeds(5), [true, false])
    func lostAddress(_ seed: UInt64, ofOfferer: Bool) async throws {
        let (world, offerer, answerer) = try await call(seed)
        world.dead.insert(ofOfferer ? Self.caller : Self.gateway)
        expectShort(gaps(world, [offerer, answerer]), seed)
        #expect([offerer, answerer].allSatisfy { $0.events.map(\.event) == [.connected] })
        let (remote, path) = ofOfferer ? (Self.other, answerer.peer.ice.selected?.path) : (Self.caller, 1)
        #expect(answerer.peer.ice.selected?.remote == remote && answerer.peer.ice.selected?.path == path)
    }

    @Test("a lite agent is asked by its peer, and goes along", arguments: seeds(3))
    func lite(_ seed: UInt64) async throws {
        let (world, offerer, answerer) = try await call(seed, isLite: true)
        world.dead.insert(Self.caller)
        expectShort(gaps(world, [offerer, answerer]), seed)
        world.translations[Self.other] = address("203.0.113.77", 3333)
        expectShort(gaps(world, [offerer, answerer]), seed)
    }

    @Test(
        "a dead peer is noticed within 8 s of its last sign of life, and the call ends within 30 s",
        arguments: seeds(20), [true, false])
    func deadPeer(_ seed: UInt64, offererDies: Bool) async throws {
        let (world, offerer, answerer) = try await call(seed, talks: false)
        let (dying, left) = offererDies ? (offerer, answerer) : (answerer, offerer)
        world.dead.formUnion(dying.addresses)
        let death = world.now
        world.run(for: .seconds(31))
        #expect(left.events.map(\.event).prefix(2) == [.connected, .disconnected])
        let noticed = try #require(left.events.first { $0.event == .disconnected }).at
        #expect((.milliseconds(400) ... .seconds(8)).contains(noticed - death), "\(noticed - death)")
        let end = try #require(left.end)
        #expect(end.reason == .consentExpired)
        // The last answer came up to a consent interval before, and up to 10 ms after.
        #expect((.seconds(23.9) ... .milliseconds(30_010)).contains(end.at - death), "\(end.at - death)")
        #expect(left.events.count == 3)
    }

    @Test("what is lost before the call is up is not found again", arguments: seeds(3))
    func lostBeforeConnected(_ seed: UInt64) throws {
        let call = Call(seed: seed)
        try call.signal()
        // ICE connects; then nothing but DTLS gets through, and late.
        #expect(call.world.run(for: .seconds(2)) { call.both.allSatisfy { $0.peer.ice.state == .connected } })
        call.world.passes = { _ in false }
        #expect(call.world.run(for: .seconds(8)) { call.both.allSatisfy { $0.peer.ice.state == .disconnected } })
        #expect(!call.isConnected)
        call.world.passes = { ($0.bytes.first ?? 0) >= 20 }
        #expect(call.world.run(for: .seconds(4)) { call.isConnected })
        call.world.passes = { _ in true }
        call.world.run(for: .seconds(20))
        #expect(call.both.allSatisfy { $0.events.map(\.event) == [.connected] })
    }

    @Test(
        "an ICE restart has no gap where the old path lives, and one under 2 s where it died",
        arguments: seeds(5), [true, false])
    func restart(_ seed: UInt64, pathDies: Bool) async throws {
        let (world, offerer, answerer) = try await call(seed)
        if pathDies { world.dead.insert(Self.caller) }
        world.after(.milliseconds(100)) {
            offerer.peer.restartICE(now: world.now)
            do {
                let answer = try answerer.peer.answer(offer: offerer.peer.makeOffer(), now: world.now)
                try offerer.peer.accept(answer: answer, now: world.now)
            } catch { world.fail("\(error)") }
            for candidate in offerer.peer.localCandidates { answerer.add(candidate: candidate, now: world.now) }
        }
        let gaps = gaps(world, [offerer, answerer])
        if pathDies {
            expectShort(gaps, seed)
        } else {
            #expect(gaps.allSatisfy { $0 <= .milliseconds(50) }, "\(gaps)")
        }
        #expect([offerer, answerer].allSatisfy { $0.events.map(\.event) == [.connected] && $0.peer.ice.hasSelection })
    }
}
