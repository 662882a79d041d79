import Audio
import Testing
import WebRTC
import Wire

@Suite("Gaps in a stream")
struct GapTests {
    /// How long after `raw` sent a packet a frame with sound is there.
    private func delay(of call: RawCall, _ send: () -> Void) -> Duration {
        let (before, start) = (call.endpoint.input.spoken, call.world.now)
        send()
        call.world.settle(call.raw)
        call.world.run(for: .milliseconds(20)) { call.endpoint.input.spoken > before }
        let delay = call.world.now - start
        call.world.run(for: .milliseconds(20) - delay)
        return delay
    }

    @Test("jitter of 30 ms: no more than 0.5 % of packets come too late, and the wait stays short", arguments: seeds(5))
    func jitter(_ seed: UInt64) throws {
        let call = try RawCall(seed: seed)
        call.world.impairment.delay = 10...40
        call.every(times: 1000) { _ in call.raw.sendVoice() }
        let statistics = call.statistics
        #expect(statistics.packetsLate <= 5, "seed \(seed): \(statistics.packetsLate)")
        #expect(statistics.reorderHold <= .milliseconds(60), "seed \(seed): \(statistics.reorderHold)")
    }

    @Test("a network that does not reorder: nobody waits for what is lost for long")
    func shortHold() throws {
        let call = try RawCall(seed: 1)
        #expect(call.statistics.reorderHold <= .milliseconds(40))
        call.every(times: 1000) { _ in call.raw.sendVoice() }
        #expect(call.statistics.reorderHold <= .milliseconds(20))
        let usual = delay(of: call) { call.raw.sendVoice() }
        call.raw.loseVoice()
        call.world.run(for: .milliseconds(20))
        let (before, start) = (call.endpoint.input.spoken, call.world.now)
        call.raw.sendVoice()
        call.world.settle(call.raw)
        #expect(call.world.run(for: .milliseconds(100)) { call.endpoint.input.spoken >= before + 2 })
        #expect(call.world.now - start <= usual + .milliseconds(20))
    }

    @Test("a network that reorders gets the time it needs, and not more than 200 ms", arguments: [60.0, 90, 200])
    func longHold(spread: Double) throws {
        let call = try RawCall(seed: 2)
        call.world.impairment.delay = 10...10 + spread
        call.every(times: 250) { _ in call.raw.sendVoice() }
        let late = call.statistics.packetsLate
        call.every(times: 1000) { _ in call.raw.sendVoice() }
        let statistics = call.statistics
        if spread < 100 { #expect(statistics.packetsLate - late <= 10, "\(statistics.packetsLate - late)") }
        #expect(statistics.reorderHold > .milliseconds(30))
        #expect(statistics.reorderHold <= .milliseconds(200))
    }

    @Test("single packets lost cost no silence, and leave no delay")
    func single() async throws {
        let call = try RawCall(seed: 3)
        call.every(times: 50) { _ in call.raw.sendVoice() }
        let before = delay(of: call) { call.raw.sendVoice() }
        call.every(times: 200) { number in
            if number % 20 == 10 { call.raw.loseVoice() } else { call.raw.sendVoice() }
        }
        #expect(delay(of: call) { call.raw.sendVoice() } == before)
        #expect(call.statistics.packetsLost == 10)
        let elapsed = call.elapsed
        let heard = await call.endpoint.heard()
        #expect(heard.jumps == [])
        let voice = heard.drop { $0.silent }
        #expect(voice.count { $0.silent } == 0)
        #expect(voice.count { $0.concealed } == 10)
        #expect((251...252).contains(voice.count), "\(voice.count)")
        #expect(abs((heard.duration - elapsed).milliseconds) <= 60)
    }

    @Test("a burst is guessed for 120 ms, then it is silence", arguments: [(2, 2), (6, 6), (7, 6), (8, 6), (20, 6)])
    func burst(lost: Int, guessed: Int) async throws {
        let call = try RawCall(seed: 4)
        call.every(times: 100) { number in
            if (50..<50 + lost).contains(number) { call.raw.loseVoice() } else { call.raw.sendVoice() }
        }
        let voice = await call.endpoint.heard().drop { $0.silent }
        #expect(voice.count { $0.concealed } == guessed)
        let rest = voice.dropFirst(50 + guessed).prefix(lost - guessed)
        // The resampler's last sound ends within the first of them.
        #expect(rest.allSatisfy { !$0.concealed && $0.samples.dropFirst(160).allSatisfy { $0.magnitude < 100 } })
        #expect((99...100).contains(voice.count), "\(voice.count)")
    }

    @Test("a stream that stops in mid-voice is guessed on for 120 ms in real time, one that stops in silence is not")
    func stop() async throws {
        for isSilent in [false, true] {
            let call = try RawCall(seed: 5)
            call.every(times: 50) { _ in call.raw.sendVoice() }
            call.every(times: isSilent ? 10 : 0) { _ in call.raw.sendSilence() }
            call.world.run(for: .seconds(2))
            #expect(call.statistics.framesConcealed == (isSilent ? 0 : 6))
            let elapsed = call.elapsed
            let heard = await call.endpoint.heard()
            #expect(heard.suffix(80).allSatisfy { $0.silent })
            #expect(abs((heard.duration - elapsed).milliseconds) <= 100)
        }
    }

    @Test("copies of the frames before it make up for lost packets (RFC 2198)", arguments: [1, 2])
    func redundancy(depth: Int) async throws {
        let call = try RawCall(seed: 6)
        call.every(times: 200) { number in
            let isLost = number % 10 >= 10 - depth && number < 195
            if isLost { call.raw.loseVoice() } else { call.raw.sendRedundantVoice(depth: depth) }
        }
        let statistics = call.statistics
        #expect(statistics.framesConcealed == 0)
        #expect(statistics.framesRecovered == 19 * depth)
        #expect(statistics.packetsLate == 0)
        let heard = await call.endpoint.heard()
        #expect(heard.jumps == [])
        #expect(heard.drop { $0.silent }.count { $0.silent } == 0)
        #expect((199...200).contains(heard.soundingCount))
    }

    @Test("copies bring nothing twice, whatever is lost, late and changed between Opus and RED", arguments: seeds(5))
    func mixture(_ seed: UInt64) async throws {
        let call = try RawCall(seed: seed)
        call.world.impairment = Impairment(loss: 0.1, duplication: 0.1, delay: 10...30)
        call.every(times: 500) { number in
            if number / 50 % 2 == 0 { call.raw.sendVoice() } else { call.raw.sendRedundantVoice(depth: 2) }
        }
        call.world.run(for: .milliseconds(200))
        let heard = await call.endpoint.heard()
        #expect(heard.jumps == [], "seed \(seed)")
        #expect((470...510).contains(heard.soundingCount), "seed \(seed): \(heard.soundingCount)")
        #expect(call.statistics.framesRecovered >= 10, "seed \(seed)")
        #expect(call.statistics.dropped == CallStatistics().dropped, "seed \(seed)")
    }
}
