import RTP
import TestSupport
import Testing
import Wire

@Suite("Sender statistics, RFC 3550 §6.4.1")
struct SenderStatisticsTests {
    @Test("packets and payload bytes are counted")
    func counts() {
        var statistics = SenderStatistics()
        statistics.sent(payload: 100)
        statistics.sent(payload: 50)
        let report = statistics.makeReport(ssrc: 1, ntpTimestamp: 2, rtpTimestamp: 3)
        #expect(report == SenderReport(ssrc: 1, ntpTimestamp: 2, rtpTimestamp: 3, packetCount: 2, octetCount: 150))
    }

    @Test("the RFC's example: sent at 0xb44db705 2000 0000, held 5.25 s, back at 0xb710:8000, gives 6.125 s")
    func roundTrip() {
        var statistics = SenderStatistics()
        let block = ReportBlock(
            ssrc: 1, fractionLost: 12, cumulativeLost: 34, highestSequence: 0, jitter: 56,
            lastSenderReport: 0xb705_2000,
            delaySinceLastSenderReport: 0x0005_4000)
        statistics.receive(block, ntpTimestamp: 0xb44d_b710_8000_0000)
        #expect(statistics.roundTrip == .milliseconds(6125))
        #expect(statistics.fractionLost == 12 && statistics.cumulativeLost == 34 && statistics.jitter == 56)
    }

    @Test(
        "a block without a report before it, or that makes no sense, tells no round trip",
        arguments: [
            (0, 0, nil), (0x1_0000, 0x7000_0000, nil), (0x8000_0000, 0, nil),
            (0x000f_fff0, 0x20, .zero), (0x0010_0000, 0, .zero), (0x000f_8000, 0, .milliseconds(500)),
        ] as [(UInt32, UInt32, Duration?)])
    func nonsense(lastReport: UInt32, delay: UInt32, expected: Duration?) {
        var statistics = SenderStatistics()
        let block = ReportBlock(
            ssrc: 1, fractionLost: 0, cumulativeLost: 0, highestSequence: 0, jitter: 0, lastSenderReport: lastReport,
            delaySinceLastSenderReport: delay)
        statistics.receive(block, ntpTimestamp: 0x0010_0000 << 16)
        #expect(statistics.roundTrip == expected)
    }

    @Test("reports come 0.5 to 1.5 intervals apart at random, the first after half of that")
    func schedule() {
        // The least and the most that a generator can give, and a seeded one.
        let least = RandomSource { 0 }
        var schedule = ReportSchedule(at: .milliseconds(1000), random: least)
        #expect(schedule.deadline == .milliseconds(1625))
        schedule.reported(at: .milliseconds(2000), random: least)
        #expect(schedule.deadline == .milliseconds(3250))

        let bits: [UInt64] = {
            var random = Seeded(3); return (0..<1000).map { _ in random.next() }
        }()
        let gaps = bits.map { word in
            schedule.reported(at: .zero, random: RandomSource { word })
            return schedule.deadline.nanoseconds
        }
        #expect(gaps.allSatisfy { (1_250_000_000..<3_750_000_000).contains($0) })
        let mean = gaps.reduce(0, +) / 1000
        #expect((2_400_000_000...2_600_000_000).contains(mean))
    }
}
