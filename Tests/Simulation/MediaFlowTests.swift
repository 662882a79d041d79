import Audio
import Testing
import WebRTC
import Wire

@Suite("Sound between two peer connections")
struct MediaFlowTests {
    @Test("flows both ways, 50 packets a second each")
    func bothWays() async throws {
        let call = try Call.connected(seed: 1)
        let start = call.world.now
        for endpoint in call.both { try await endpoint.output.play(Signal.tone(seconds: 10)) }
        call.world.run(for: .seconds(11))
        for endpoint in call.both {
            let statistics = endpoint.peer.currentStatistics()
            // 500 frames, and 2 of silence, 20 ms behind the last.
            #expect(statistics.packetsSent == 502)
            #expect(statistics.packetsReceived == 502)
            #expect(statistics.packetsLost == 0)
            #expect(statistics.dropped == CallStatistics().dropped)
            let roundTrip = try #require(statistics.roundTripTime)
            #expect((19...21).contains(roundTrip.milliseconds))
            let heard = await endpoint.heard()
            #expect((498...502).contains(heard.soundingCount))
            #expect(heard.jumps == [])
            let lead = heard.duration - (call.world.now - start)
            #expect(abs(lead.milliseconds) <= 200)
        }
    }

    @Test("its encoder works no harder than it is told, before it is connected and later")
    func complexity() throws {
        let call = Call(seed: 4)
        let peer = call.offerer.peer
        peer.complexityLimit = 3
        try call.signal()
        try #require(call.world.run(for: .seconds(5)) { call.isConnected })
        #expect(peer.currentStatistics().complexity == 3)
        for (limit, complexity) in [(1, 1), (8, 5)] {
            peer.complexityLimit = limit
            #expect(peer.currentStatistics().complexity == complexity)
        }
    }

    @Test("is not needed to know the round trip", arguments: [0, 1])
    func roundTrip(talking: Int) async throws {
        let call = try Call.connected(seed: 3)
        for endpoint in call.both.prefix(talking) { try await endpoint.output.play(Signal.tone(seconds: 20)) }
        call.world.run(for: .seconds(20))
        for endpoint in call.both {
            let roundTrip = try #require(endpoint.peer.currentStatistics().roundTripTime)
            #expect((19...21).contains(roundTrip.milliseconds))
        }
    }

    /// What one said, the other says back.
    @Test("comes back from an echo as it was said", arguments: zip([0, 0.05, 0.1], [0.94, 0.9, 0.85]))
    func echo(loss: Double, likeness: Double) async throws {
        let call = try Call.connected(seed: 2)
        call.world.impairment.loss = loss
        call.world.impairment.delay = 20...35
        let speech = Signal.speech(seconds: 12)
        try await call.offerer.output.play(speech)
        call.world.run(for: .seconds(13))
        let there = await call.answerer.heard()
        try await call.answerer.output.play(there.samples)
        call.world.run(for: there.duration + .seconds(1))
        let back = await call.offerer.heard()
        #expect(there.jumps == [])
        #expect(back.jumps == [])
        let once = Signal.likeness(of: there.samples, to: speech)
        // The echo begins after what the offerer heard while it spoke, which may be a little less than 13 s.
        let twice = Signal.likeness(of: Array(back.samples.dropFirst(25 * 8_000)), to: there.samples)
        #expect(once.correlation >= likeness, "\(once)")
        #expect(twice.correlation >= likeness, "\(twice)")
    }

    @Test("keeps time with the sender on a bad network: no drift, no jump", arguments: seeds(4))
    func timeline(_ seed: UInt64) async throws {
        let call = try Call.connected(seed: seed)
        call.world.impairment = Impairment(
            loss: 0.03, bursts: 0.002, burstLength: 10, duplication: 0.05, corruption: 0.01, delay: 20...70)
        let start = try #require(call.answerer.events.first?.at)
        let speech = Signal.speech(seconds: 29, seed: seed)
        try await call.offerer.output.play(speech)
        call.world.run(for: .seconds(30))
        let elapsed = call.world.now - start
        let heard = await call.answerer.heard()
        #expect(heard.jumps == [])
        // As far ahead as pauses are left alone, and what was made up since the last one.
        #expect(abs((heard.duration - elapsed).milliseconds) <= 260, "seed \(seed): \(heard.duration) in \(elapsed)")
        // The end is still where it was said, against the beginning.
        let (head, tail) = (speech.prefix(5 * 16_000), speech.suffix(5 * 16_000))
        let early = Signal.likeness(of: Array(heard.samples.prefix(8 * 16_000)), to: Array(head))
        let late = Signal.likeness(of: Array(heard.samples.dropFirst(24 * 16_000)), to: Array(tail))
        #expect(abs(late.delay - early.delay) <= 12, "seed \(seed): \(early) \(late)")
        #expect(early.correlation > 0.8 && late.correlation > 0.8, "seed \(seed): \(early) \(late)")
    }

    @Test("is not missed where there is none: silence in real time, and nothing on the wire but reports and checks")
    func silence() async throws {
        let call = try Call.connected(seed: 3)
        var sent = 0
        call.world.observe = { _ in sent += 1 }
        call.world.run(for: .seconds(20))
        for endpoint in call.both {
            #expect(endpoint.peer.currentStatistics().packetsSent == 0)
            let heard = await endpoint.heard()
            #expect(heard.allSatisfy { $0.silent })
            #expect((990...1010).contains(heard.count))
        }
        #expect(sent < 60, "\(sent)")
    }

    @Test("of long ago is not made up when the process was stopped for an hour")
    func suspended() async throws {
        let call = try Call.connected(seed: 4)
        call.answerer.peer.handleTimeout(now: call.world.now + .seconds(3600))
        #expect(await call.answerer.heard().count < 200)
    }
}
