import Audio
import Testing
import WebRTC
import Wire

@Suite("How a call ends")
struct EndingTests {
    @Test("one side closes, the other hears of it", arguments: [true, false])
    func close(byOfferer: Bool) async throws {
        let call = try Call.connected(seed: 1)
        for endpoint in call.both { try await endpoint.output.play(Signal.tone(seconds: 5)) }
        call.world.run(for: .seconds(1))
        let (first, second) = byOfferer ? (call.offerer, call.answerer) : (call.answerer, call.offerer)
        first.close(now: call.world.now)
        let closed = call.world.now
        call.world.run(for: .seconds(60))
        #expect(first.end?.reason == .closed)
        #expect(second.end?.reason == .closedByPeer)
        #expect(second.end?.at == closed + .milliseconds(10))
        first.close(now: call.world.now)
        #expect(first.events.count == 2)
    }

    @Test("consent runs out 30 s after the last answer (RFC 7675), with a warning before", arguments: seeds(10))
    func consent(_ seed: UInt64) async throws {
        let call = try Call.connected(seed: seed)
        for endpoint in call.both { try await endpoint.output.play(Signal.tone(seconds: 29)) }
        call.world.run(for: .seconds(20))
        #expect(call.both.allSatisfy { $0.events.count == 1 })
        call.world.passes = { _ in false }
        let cut = call.world.now
        call.world.run(for: .seconds(40))
        for endpoint in call.both {
            #expect(endpoint.events.count == 3)
            #expect(endpoint.events.map(\.event).prefix(2) == [.connected, .disconnected])
            let end = try #require(endpoint.end)
            #expect(end.reason == .consentExpired)
            // The last answer came up to a consent interval of 6 s before the cut.
            #expect((23.9...30).contains((end.at - cut).milliseconds / 1000))
        }
    }

    @Test("a short cut does not end it")
    func shortCut() throws {
        let call = try Call.connected(seed: 2)
        call.world.passes = { _ in false }
        call.world.run(for: .seconds(15))
        call.world.passes = { _ in true }
        call.world.run(for: .seconds(60))
        for endpoint in call.both {
            #expect(endpoint.events.map(\.event) == [.connected, .disconnected, .reconnected])
        }
    }

    @Test("two minutes at a loss of 10 % do not end it", arguments: seeds(3))
    func lossyMinutes(_ seed: UInt64) throws {
        let call = try Call.connected(seed: seed)
        call.world.impairment.loss = 0.1
        call.world.run(for: .seconds(120))
        #expect(call.both.allSatisfy { $0.end == nil }, "seed \(seed)")
    }

    @Test("where only one direction is cut, both sides notice", arguments: [true, false])
    func oneWay(fromOfferer: Bool) throws {
        let call = try Call.connected(seed: 3)
        let mute = fromOfferer ? call.offerer.address : call.answerer.address
        call.world.passes = { $0.from != mute }
        call.world.run(for: .seconds(61))
        #expect(call.isOver)
    }

    @Test("after it nothing is taken, said or sent")
    func afterTheEnd() throws {
        let call = try Call.connected(seed: 4)
        call.answerer.close(now: call.world.now)
        call.world.run(for: .seconds(1))
        let now = call.world.now
        let peer = call.answerer.peer
        #expect(throws: PeerConnectionError.ended) { try peer.answer(offer: "v=0\r\n", now: now) }
        #expect(!peer.addRemoteCandidate("candidate:1 1 udp 1 192.0.2.9 9999 typ host", now: now))
        peer.endOfRemoteCandidates(now: now)
        peer.handleTimeout(now: now + .seconds(100))
        var datagram: [UInt8] = [0x80, 111] + [UInt8](repeating: 0, count: 40)
        var span = datagram.mutableSpan
        #expect(peer.receive(&span, path: 0, from: call.offerer.address, now: now) == .dropped)
        peer.close(now: now)
        call.world.settle(call.answerer)
        #expect(peer.deadline == nil)
        #expect(call.answerer.events.count == 2)
    }
}
