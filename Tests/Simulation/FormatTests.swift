import Audio
import Testing
import WebRTC
import Wire

@Suite("What a packet may hold")
struct FormatTests {
    @Test("several frames of 20 ms", arguments: 1...6)
    func frames(_ count: Int) async throws {
        let call = try RawCall(seed: 1)
        call.every(.milliseconds(20 * count), times: 120 / count) { _ in call.raw.sendVoice(frames: count) }
        try await check(call, sound: .milliseconds(20 * count * (120 / count)))
    }

    /// Configurations of CELT at 48 kHz, mono and stereo (RFC 6716 §3.1): 2.5, 5, 10 and 20 ms.
    @Test("one short frame, mono or stereo", arguments: 0..<4, [false, true])
    func short(_ size: Int, isStereo: Bool) async throws {
        let call = try RawCall(seed: 2)
        let length = Duration.microseconds(2500 << size)
        let head = UInt8((28 + size) << 3 | (isStereo ? 4 : 0))
        // As many as the limit of packets lets through.
        let times = 200
        call.every(length, times: times) { _ in
            let noise = (0..<40).map { _ in UInt8.random(in: 0...255, using: &call.world.generator) }
            call.raw.send(payload: [head] + noise)
            call.raw.timestamp &+= UInt32(120 << size)
        }
        try await check(call, sound: length * times)
    }

    private func check(_ call: RawCall, sound: Duration) async throws {
        call.world.run(for: .milliseconds(15))
        let (elapsed, statistics) = (call.elapsed, call.statistics)
        let heard = await call.endpoint.heard()
        #expect(statistics.dropped == CallStatistics().dropped)
        #expect(statistics.packetsLost == 0)
        #expect(heard.jumps == [])
        #expect(heard.count { $0.concealed } == 0)
        #expect(heard.allSatisfy { $0.samples.count == 320 })
        let (first, last) = (heard.firstIndex { !$0.silent } ?? 0, heard.lastIndex { !$0.silent } ?? 0)
        #expect(abs((Duration.milliseconds(20 * (last - first + 1)) - sound).milliseconds) <= 60)
        #expect(abs((heard.duration - elapsed).milliseconds) <= 140)
    }

    @Test("padding and nothing else, which takes a number and no time (RFC 3550 §5.1)")
    func padding() async throws {
        let call = try RawCall(seed: 3)
        call.every(times: 200) { number in
            if number % 10 == 9 {
                var packet = [0xa0, 111, UInt8(call.raw.sequenceNumber >> 8), UInt8(call.raw.sequenceNumber & 255)]
                for word in [call.raw.timestamp, call.raw.ssrc, 0x0000_0004] {
                    packet += [24, 16, 8, 0].map { UInt8(word >> $0 & 255) }
                }
                call.raw.send(rtp: packet)
                call.raw.sequenceNumber &+= 1
            }
            call.raw.sendVoice()
        }
        let statistics = call.statistics
        #expect(statistics.packetsReceived == 220)
        #expect(statistics.dropped == CallStatistics().dropped)
        let heard = await call.endpoint.heard()
        #expect((199...200).contains(heard.soundingCount))
        #expect(heard.drop { $0.silent }.count { $0.silent || $0.concealed } == 0)
    }

    /// The clock of an event is that of its payload type (RFC 4733 §2.1).
    @Test("keys, at 48 and 8 kHz, with the first or the last packets lost", arguments: [110, 126] as [UInt8])
    func keys(payloadType: UInt8) throws {
        let call = try RawCall(seed: 4)
        let step: UInt16 = payloadType == 110 ? 960 : 160
        for (key, lost) in [(5, []), (5, [0, 1, 2]), (6, [5, 6, 7]), (6, [4, 5, 6, 7]), (0, [0, 7])] as [(UInt8, [Int])]
        {
            call.every(times: 20) { _ in call.raw.sendVoice() }
            call.every(times: 8) { number in
                guard !lost.contains(number) else { return call.raw.sequenceNumber &+= 1 }
                call.raw.sendKey(
                    key, isEnd: number >= 5, duration: step * UInt16(min(number, 5)), payloadType: payloadType)
            }
            call.raw.pause(frames: 8)
        }
        call.every(times: 20) { _ in call.raw.sendVoice() }
        #expect(call.endpoint.keys == "55660")
    }
}
