import Audio
import RTP
import Testing
import WebRTC
import Wire

@Suite("What a peer's stream may do")
struct StreamTests {
    @Test("its sequence number and timestamp wrap, and nothing is lost")
    func wrap() async throws {
        let call = try RawCall(seed: 1)
        call.raw.sequenceNumber = 65_500
        call.raw.timestamp = UInt32.max - 960 * 20
        call.every(times: 100) { _ in call.raw.sendVoice() }
        let statistics = call.statistics
        #expect(statistics.packetsReceived == 100)
        #expect(statistics.packetsLost == 0)
        #expect(statistics.packetsLate == 0)
        #expect(statistics.dropped == CallStatistics().dropped)
        let heard = await call.endpoint.heard()
        #expect(heard.soundingCount >= 98)
        #expect(heard.jumps == [])
        #expect(statistics.framesConcealed == 0)
    }

    @Test("its first packets are lost, and the sequence number wraps meanwhile (libsrtp issue 729)")
    func lostBeforeWrap() async throws {
        let call = try RawCall(seed: 2)
        call.raw.sequenceNumber = 65_530
        call.world.passes = { !($0.from == call.raw.address && PacketKind($0.bytes.span) == .rtp) }
        call.every(times: 10) { _ in call.raw.sendVoice() }
        call.world.passes = { _ in true }
        call.every(times: 50) { _ in call.raw.sendVoice() }
        #expect(await call.endpoint.heard().soundingCount >= 45)
    }

    @Test("it changes its SSRC, again and again, and sound goes on")
    func changeOfSource() async throws {
        let call = try RawCall(seed: 3)
        for source in 1...20 as ClosedRange<UInt32> {
            call.raw.ssrc = source
            call.raw.sequenceNumber = UInt16.random(in: 0...UInt16.max, using: &call.world.generator)
            call.raw.timestamp = UInt32.random(in: 0...UInt32.max, using: &call.world.generator)
            call.every(times: 20) { _ in call.raw.sendVoice() }
        }
        let statistics = call.statistics
        #expect(statistics.packetsReceived == 400)
        #expect(statistics.dropped == CallStatistics().dropped)
        let heard = await call.endpoint.heard()
        #expect((398...402).contains(heard.soundingCount))
        #expect(heard.jumps == [])
        #expect(call.endpoint.end == nil)
    }

    @Test("its last packets may come behind the first of its next SSRC, and what it lost is not forgotten")
    func overtakenChange() async throws {
        let call = try RawCall(seed: 13)
        func say(_ source: UInt32, _ number: UInt16, aloud: Bool = true) {
            (call.raw.ssrc, call.raw.sequenceNumber) = (source, UInt16(source) * 1000 + number)
            call.every(times: 1) { _ in aloud ? call.raw.sendVoice() : call.raw.sendSilence() }
        }
        for number in 0..<50 where number != 20 { say(1, UInt16(number)) }
        // Both at once for a while: that of the old one is not played.
        for number in 50..<60 {
            say(2, UInt16(number), aloud: false)
            say(1, UInt16(number))
        }
        for number in 60..<110 { say(2, UInt16(number)) }
        #expect(call.statistics.packetsLost == 1)
        // It may go back after all.
        for number in 60..<110 { say(1, UInt16(number)) }
        let heard = await call.endpoint.heard()
        #expect((146...154).contains(heard.soundingCount))
    }

    @Test("it pauses, and silence is heard in real time (DTX)")
    func pause() async throws {
        let call = try RawCall(seed: 4)
        call.every(times: 50) { _ in call.raw.sendVoice() }
        // What DTX sends: silence, and an update every 400 ms.
        call.every(times: 5) { _ in call.raw.sendSilence() }
        for _ in 0..<5 {
            call.world.run(for: .milliseconds(380))
            call.raw.pause(frames: 19)
            call.every(times: 1) { _ in call.raw.sendSilence() }
        }
        call.world.run(for: .seconds(3))
        call.raw.pause(frames: 150)
        call.every(times: 50) { _ in call.raw.sendVoice() }
        let elapsed = call.elapsed
        let heard = await call.endpoint.heard()
        #expect(heard.jumps == [])
        #expect(abs((heard.duration - elapsed).milliseconds) <= 100)
        // The first frame after sound is its end yet.
        #expect((100...106).contains(heard.soundingCount), "\(heard.soundingCount)")
        #expect(call.statistics.framesConcealed == 0)
        // The silence in between came while it lasted.
        let first = heard.firstIndex { !$0.silent } ?? 0
        let resumed = heard.lastIndex { $0.silent } ?? 0
        #expect((303...307).contains(resumed - first + 1), "\(resumed - first + 1)")
    }

    @Test("it has gaps, which are concealed, and the timeline does not move", arguments: [1, 2, 5, 8])
    func gaps(length: Int) async throws {
        let call = try RawCall(seed: 5)
        call.every(times: 200) { number in
            if (50..<50 + length).contains(number) { call.raw.loseVoice() } else { call.raw.sendVoice() }
        }
        let elapsed = call.elapsed
        let statistics = call.statistics
        #expect(statistics.packetsLost == length)
        let heard = await call.endpoint.heard()
        #expect(heard.jumps == [])
        #expect(heard.count { $0.concealed } == statistics.framesConcealed)
        // While a gap lasts longer than a sender may be late, it is silence: nobody knows of it yet.
        #expect((1...6).contains(statistics.framesConcealed))
        #expect(abs((heard.duration - elapsed).milliseconds) <= 100)
    }

    @Test("it arrives in a burst after a stall, and the pause behind it is shortened until no delay is left")
    func stall() async throws {
        let call = try RawCall(seed: 6)
        call.every(times: 50) { _ in call.raw.sendVoice() }
        call.world.run(for: .milliseconds(600))
        for _ in 0..<30 { call.raw.sendVoice() }
        call.every(times: 50) { _ in call.raw.sendVoice() }
        call.every(times: 50) { _ in
            call.raw.sendSilence()
        }
        call.every(times: 50) { _ in call.raw.sendVoice() }
        let elapsed = call.elapsed
        let heard = await call.endpoint.heard()
        #expect(heard.jumps == [])
        #expect(
            (178...192).contains(heard.soundingCount),
            "all sound is heard, and 120 ms of guesses: \(heard.soundingCount)")
        #expect(abs((heard.duration - elapsed).milliseconds) <= 160, "\(heard.duration) in \(elapsed)")
    }

    @Test("it comes out of order, and is put in order")
    func disorder() async throws {
        let call = try RawCall(seed: 7)
        call.world.impairment.delay = 10...45
        call.every(times: 500) { _ in call.raw.sendVoice() }
        call.world.run(for: .milliseconds(100))
        #expect(call.statistics.packetsLate == 0)
        #expect(call.statistics.framesConcealed == 0)
        let heard = await call.endpoint.heard()
        #expect(heard.soundingCount >= 498)
        #expect(heard.jumps == [])
    }

    @Test("its numbers jump ahead, and sound goes on at once", arguments: [33, 500, 2000, 20_000])
    func jump(steps: UInt16) async throws {
        let call = try RawCall(seed: 8)
        call.every(times: 50) { _ in call.raw.sendVoice() }
        call.raw.sequenceNumber &+= steps
        call.every(times: 50) { _ in call.raw.sendVoice() }
        let heard = await call.endpoint.heard()
        #expect(heard.soundingCount >= 97)
        #expect(heard.jumps == [])
    }

    @Test("it presses keys, each reported once, whatever is lost of them")
    func keys() throws {
        let call = try RawCall(seed: 9)
        for (number, event) in ([1, 1, 2, 10, 11, 15] as [UInt8]).enumerated() {
            call.every(times: 20) { _ in call.raw.sendVoice() }
            call.every(times: 8) { step in
                guard number != 2 || step >= 6 else { return call.raw.sequenceNumber &+= 1 }
                call.raw.sendKey(event, isEnd: step >= 5, duration: UInt16(960 * min(step + 1, 6)))
            }
            call.raw.pause(frames: 8)
        }
        #expect(call.endpoint.keys == "112*#D")
        // In a stream of their own, and an event that is no key.
        call.raw.sendKey(3, isEnd: true, duration: 960, ssrc: 0x2222)
        call.every(times: 1) { _ in call.raw.sendKey(36, isEnd: true, duration: 960) }
        call.every(times: 20) { _ in call.raw.sendVoice() }
        #expect(call.endpoint.keys == "112*#D3")
    }

    @Test("it says something about our stream: loss and round trip")
    func reports() throws {
        let call = try RawCall(seed: 10)
        call.every(times: 300) { _ in call.raw.sendVoice() }
        let blocks = call.raw.reports.compactMap { packet -> [ReportBlock]? in
            if case .receiverReport(_, let blocks) = packet { blocks } else { nil }
        }
        let block = try #require(blocks.last?.first)
        #expect(block.ssrc == call.raw.ssrc)
        #expect(block.cumulativeLost == 0)
        var answer: [UInt8] = []
        var about = block
        about.ssrc = call.endpoint.peer.ssrc
        about.fractionLost = 64
        about.cumulativeLost = 12
        RTCPWriter.write(ssrc: call.raw.ssrc, report: nil, blocks: [about], cname: "raw", into: &answer)
        call.every(times: 1) { _ in call.raw.send(rtcp: answer) }
        #expect(call.statistics.remotePacketsLost == 12)
    }

    /// RFC 3611 §4.4, §4.5: sender reports measure nothing for who sends no audio.
    @Test("it is asked for the round trip while nothing is sent to it, and told what it asks")
    func extendedReports() throws {
        let call = try RawCall(seed: 12)
        call.every(times: 500) { _ in call.raw.sendVoice() }
        let asked = call.raw.reports.compactMap { report -> UInt64? in
            guard case .receiverReferenceTime(call.endpoint.peer.ssrc, let time) = report else { return nil }
            return time
        }
        let last = try #require(asked.last)
        var report: [UInt8] = []
        let mine = DelaySinceLastReceiverReport(
            ssrc: call.endpoint.peer.ssrc, lastReceiverReport: UInt32(truncatingIfNeeded: last >> 16), delay: 0)
        RTCPWriter.write(
            ssrc: call.raw.ssrc, report: nil, blocks: [], cname: "raw", referenceTime: 0x1111_2222_3333_4444,
            delay: mine, into: &report)
        // As if the way had taken all the time since.
        call.every(times: 500) { _ in call.raw.sendVoice() }
        call.raw.send(rtcp: report)
        call.every(times: 500) { _ in call.raw.sendVoice() }
        #expect(try #require(call.statistics.roundTripTime) > .seconds(9))
        let told = call.raw.reports.compactMap { report -> [DelaySinceLastReceiverReport]? in
            guard case .delaySinceLastReceiverReport(let delays) = report else { return nil }
            return delays
        }
        let delay = try #require(told.last?.first)
        #expect(told.last?.count == 1 && delay.ssrc == call.raw.ssrc && delay.lastReceiverReport == 0x2222_3333)
        #expect((0...10 * 65_536).contains(delay.delay))
    }
}
