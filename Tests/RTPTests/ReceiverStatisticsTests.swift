import RTP
import TestSupport
import Testing
import Wire

@Suite("Receiver statistics, RFC 3550 appendix A")
struct ReceiverStatisticsTests {
    /// Feeds packets 20 ms apart on the sender's and the receiver's clock.
    private func feed(_ numbers: [UInt16], into statistics: inout ReceiverStatistics) {
        for number in numbers {
            let index = Int(number)
            let time = MonotonicTime.milliseconds(Double(index) * 20)
            statistics.receive(sequenceNumber: number, timestamp: UInt32(index * 960), at: time)
        }
    }

    @Test(
        "expected, lost and fraction lost",
        arguments: [
            ([1, 2, 3, 4], 4, 0, 0), ([1, 2, 4], 4, 1, 64), ([1, 3, 2, 4], 4, 0, 0), ([1, 2, 2, 3], 3, -1, 0),
            ([1, 5], 5, 3, 153), ([9, 8, 7], 1, -2, 0), ([5], 1, 0, 0),
        ] as [([UInt16], Int64, Int64, UInt8)])
    func losses(numbers: [UInt16], expected: Int64, lost: Int64, fraction: UInt8) {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        feed(numbers, into: &statistics)
        #expect(statistics.expected == expected && statistics.lost == lost)
        let block = statistics.makeReportBlock(ssrc: 5, at: .zero)
        #expect(block?.fractionLost == fraction && block?.cumulativeLost == Int32(lost))
    }

    @Test("nothing is reported before the first packet")
    func empty() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        #expect(statistics.makeReportBlock(ssrc: 5, at: .zero) == nil)
        #expect(statistics.expected == 0 && statistics.lost == 0)
    }

    @Test("the fraction is about the interval, the sum about the call")
    func intervals() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        feed([1, 3], into: &statistics)
        #expect(statistics.makeReportBlock(ssrc: 5, at: .zero)?.fractionLost == 85)
        feed([4, 5], into: &statistics)
        let block = statistics.makeReportBlock(ssrc: 5, at: .zero)
        #expect(block?.fractionLost == 0 && block?.cumulativeLost == 1)
        #expect(statistics.makeReportBlock(ssrc: 5, at: .zero)?.fractionLost == 0, "an interval without packets")
    }

    @Test("the highest number counts cycles")
    func wrapAround() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        feed([65_534, 65_535, 0, 1, 65_533], into: &statistics)
        #expect(statistics.makeReportBlock(ssrc: 5, at: .zero)?.highestSequence == 0x1_0001)
        #expect(statistics.expected == 4 && statistics.received == 5)
    }

    @Test("a stray number is not believed, two in a row are a restart")
    func restart() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        feed([100, 101], into: &statistics)
        func receive(_ number: UInt16) -> Bool {
            statistics.receive(sequenceNumber: number, timestamp: 0, at: .zero)
        }
        #expect(!receive(30_000))
        #expect(receive(102))
        #expect(statistics.expected == 3)
        #expect(!receive(40_000))
        #expect(receive(40_001))
        #expect(statistics.expected == 1 && statistics.lost == 0)
        #expect(statistics.makeReportBlock(ssrc: 5, at: .zero)?.highestSequence == 40_001)
        #expect(statistics.totalLost == 0)
        #expect(receive(40_004))
        #expect(!receive(50_000))
        #expect(receive(50_001))
        #expect(receive(50_003))
        #expect(statistics.lost == 1 && statistics.totalLost == 3)
        #expect(ReceiverStatistics(clockRate: 48_000, lostBefore: statistics.totalLost).totalLost == 3)
    }

    @Test("even spacing has no jitter, also over the wrap of the timestamp")
    func noJitter() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        for index in 0..<200 {
            let timestamp = UInt32.max - 48_000 &+ UInt32(index * 960)
            let time = MonotonicTime.milliseconds(1e9 + Double(index) * 20)
            statistics.receive(sequenceNumber: UInt16(index), timestamp: timestamp, at: time)
        }
        #expect(statistics.jitter <= 1)
    }

    @Test("jitter settles at the mean deviation of the spacing")
    func jitter() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        for index in 0..<400 {
            let time = MonotonicTime.milliseconds(Double(index) * 20 + (index.isMultiple(of: 2) ? 0 : 10))
            statistics.receive(sequenceNumber: UInt16(index), timestamp: UInt32(index * 960), at: time)
        }
        #expect((478...482).contains(statistics.jitter), "10 ms are 480 ticks")
        for index in 400..<410 {
            statistics.receive(sequenceNumber: UInt16(index), timestamp: nil, at: .zero)
        }
        #expect((478...482).contains(statistics.jitter), "another clock is left out")
    }

    @Test("LSR and DLSR tell when the last sender report came")
    func senderReport() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        feed([1], into: &statistics)
        #expect(statistics.makeReportBlock(ssrc: 5, at: .milliseconds(0))?.lastSenderReport == 0)
        let report = SenderReport(
            ssrc: 5, ntpTimestamp: 0x0011_2233_4455_6677, rtpTimestamp: 0, packetCount: 0, octetCount: 0)
        statistics.receive(report, at: .milliseconds(1000))
        let block = statistics.makeReportBlock(ssrc: 5, at: .milliseconds(3500))
        #expect(block?.lastSenderReport == 0x2233_4455)
        #expect(block?.delaySinceLastSenderReport == 163_840)
    }

    @Test("any numbers, timestamps and times are survived")
    func hostile() {
        var random = Seeded(7)
        var statistics = ReceiverStatistics(clockRate: 48_000)
        for _ in 0..<20_000 {
            let number = UInt16.random(in: 0 ... .max, using: &random)
            let timestamp = UInt32.random(in: 0 ... .max, using: &random)
            let now = MonotonicTime(nanoseconds: Int64.random(in: .min ... .max, using: &random))
            statistics.receive(sequenceNumber: number, timestamp: timestamp, at: now)
            statistics.receive(sequenceNumber: number &+ 1, timestamp: timestamp, at: now)
            let block = statistics.makeReportBlock(ssrc: 1, at: now)
            #expect(block != nil)
        }
    }
}
