import Audio
import Testing
import Wire

@testable import WebRTC

@Suite("Later offers")
struct NegotiationTests {
    /// Offers again and takes the answer.
    private func renegotiate(_ call: Call, edit: (inout String) -> Void = { _ in }) throws {
        try call.signal { description, isOffer in if isOffer { edit(&description) } }
    }

    private func packets(_ call: Call) -> [Int] {
        call.both.map { $0.peer.currentStatistics().packetsSent }
    }

    @Test("hold and go on", arguments: [("sendonly", true), ("inactive", false)])
    func hold(direction: String, offererSends: Bool) async throws {
        let call = try Call.connected(seed: 1)
        for endpoint in call.both { try await endpoint.output.play(Signal.tone(seconds: 20)) }
        call.world.run(for: .seconds(2))
        try renegotiate(call) { $0 = $0.replacingDirection(with: direction) }
        let atHold = packets(call)
        call.world.run(for: .seconds(2))
        let held = packets(call)
        #expect(held[1] == atHold[1])
        #expect(held[0] - atHold[0] == (offererSends ? 100 : 0))
        try renegotiate(call)
        call.world.run(for: .seconds(2))
        #expect(zip(packets(call), held).map { $0 - $1 } == [100, 100])
        #expect(call.both.allSatisfy { $0.events.count == 1 && $0.end == nil })
        let heard = await call.offerer.heard()
        #expect(heard.jumps == [])
        #expect((298...304).contains(heard.count))
    }

    @Test("restart ICE: keys and streams stay, and sound goes on without a gap", arguments: seeds(10))
    func restart(_ seed: UInt64) async throws {
        let call = try Call.connected(seed: seed)
        call.world.impairment.loss = seed > 5 ? 0.1 : 0
        for endpoint in call.both { try await endpoint.output.play(Signal.tone(seconds: 10)) }
        call.world.run(for: .seconds(2))
        let before = (call.offerer.peer.localUfrags, call.answerer.peer.localUfrags)
        call.offerer.peer.restartICE(now: call.world.now)
        try renegotiate(call)
        #expect(call.offerer.peer.localUfrags == [call.offerer.peer.localUfrags[0], before.0[0]])
        #expect(call.answerer.peer.localUfrags[1] == before.1[0])
        #expect(call.answerer.peer.ufragGeneration == 1)
        call.world.run(for: .seconds(8))
        for endpoint in call.both {
            if seed <= 5 { #expect(endpoint.events.map(\.event) == [.connected]) }
            #expect(endpoint.end == nil)
            #expect(endpoint.peer.currentStatistics().packetsSent >= 499)
            let heard = await endpoint.heard()
            #expect(heard.jumps == [])
            if seed <= 5 { #expect((498...502).contains(heard.soundingCount)) }
        }
        // The old ones are not asked for consent any more: the new pair carries the call.
        call.world.run(for: .seconds(60))
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test("restart ICE when the caller's address has changed, and sound comes back")
    func moved() async throws {
        let call = try Call.connected(seed: 3)
        try await call.offerer.output.play(Signal.tone(seconds: 20))
        call.world.run(for: .seconds(2))
        call.world.translations[call.offerer.address] = address("203.0.113.77", 3333)
        call.offerer.peer.restartICE(now: call.world.now)
        try renegotiate(call)
        let received = call.answerer.peer.currentStatistics().packetsReceived
        call.world.run(for: .seconds(5))
        #expect(call.answerer.peer.currentStatistics().packetsReceived >= received + 200)
        call.world.run(for: .seconds(60))
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test("with another certificate are refused, and the call goes on")
    func otherCertificate() throws {
        let call = try Call.connected(seed: 4)
        let offer = try call.offerer.peer.makeOffer().replacingFingerprint()
        #expect(throws: PeerConnectionError.otherAssociation) {
            try call.answerer.peer.answer(offer: offer, now: call.world.now)
        }
        call.world.run(for: .seconds(40))
        #expect(call.both.allSatisfy { $0.end == nil })
    }

    @Test("that cannot be read change nothing")
    func unreadable() throws {
        let call = try Call.connected(seed: 5)
        let offer = try call.offerer.peer.makeOffer()
        for length in stride(from: 0, to: offer.utf8.count, by: 7) {
            _ = try? call.answerer.peer.answer(offer: String(offer.prefix(length)), now: call.world.now)
        }
        #expect(throws: PeerConnectionError.unexpectedDescription) {
            try call.offerer.peer.answer(offer: offer, now: call.world.now)
        }
        call.world.run(for: .seconds(40))
        #expect(call.both.allSatisfy { $0.end == nil })
    }
}
