package import Wire

/// What a receiver counts about one stream, and the report block made of it (RFC 3550 §6.4.1, appendices A.1, A.3, A.8).
///
/// A new SSRC gets new statistics.
package struct ReceiverStatistics: Sendable {
    /// A jump of more than this is a restarted sender or a stray packet (RFC 3550 A.1).
    private static let maximumDropout = 3000
    private static let maximumMisorder = 100

    /// Ticks of the RTP clock in a second.
    private let clockRate: UInt32
    /// Packets that arrived, duplicates too.
    package private(set) var received: Int64 = 0
    /// Interarrival jitter, in ticks times 16.
    private var scaledJitter: Int64 = 0
    private var base: Int64 = 0
    private var highest: Int64?
    /// The sequence number that would make a jump believed: the next packet after the one that jumped.
    private var restartsAt: UInt16?
    private var transit: UInt32?
    private var expectedBefore: Int64 = 0
    private var receivedBefore: Int64 = 0
    private var lastReport: (middle: UInt32, arrival: MonotonicTime)?

    /// Packets lost before the numbers began anew.
    private var lostBefore: Int64

    /// - Parameter lostBefore: `totalLost` of the stream that this one follows.
    package init(clockRate: UInt32, lostBefore: Int64 = 0) {
        self.clockRate = clockRate
        self.lostBefore = lostBefore
    }

    /// Counts one packet; call it for each that passed authentication.
    ///
    /// - Parameter timestamp: nil for a payload with another clock, which cannot be compared with the ones before.
    /// - Returns: false for a packet whose number makes no sense yet, which is not to be played.
    @discardableResult
    package mutating func receive(sequenceNumber: UInt16, timestamp: UInt32?, at now: MonotonicTime) -> Bool {
        guard let highest else {
            restart(at: sequenceNumber)
            countTransit(timestamp, now)
            return true
        }
        let steps = sequenceNumber.steps(after: UInt16(truncatingIfNeeded: highest))
        if steps > Self.maximumDropout || steps < -Self.maximumMisorder {
            guard restartsAt == sequenceNumber else {
                restartsAt = sequenceNumber &+ 1
                return false
            }
            restart(at: sequenceNumber)
        } else {
            restartsAt = nil
            self.highest = max(highest, highest &+ Int64(steps))
            received &+= 1
        }
        countTransit(timestamp, now)
        return true
    }

    private mutating func restart(at sequenceNumber: UInt16) {
        lostBefore = totalLost
        (base, highest, restartsAt) = (Int64(sequenceNumber), Int64(sequenceNumber), nil)
        (received, expectedBefore, receivedBefore) = (1, 0, 0)
        transit = nil
    }

    /// RFC 3550 A.8.
    private mutating func countTransit(_ timestamp: UInt32?, _ now: MonotonicTime) {
        guard let timestamp else { return }
        let (seconds, rest) = now.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let ticks = seconds &* Int64(clockRate) &+ rest &* Int64(clockRate) / 1_000_000_000
        let transit = UInt32(truncatingIfNeeded: ticks) &- timestamp
        if let before = self.transit {
            let difference = Int64(Int32(bitPattern: transit &- before).magnitude)
            scaledJitter &+= difference &- ((scaledJitter &+ 8) >> 4)
        }
        self.transit = transit
    }

    /// Notes a sender report of this stream, for the peer to work out the round trip from.
    package mutating func receive(_ report: SenderReport, at now: MonotonicTime) {
        lastReport = (RoundTrip.middle(ofNTP: report.ntpTimestamp), now)
    }
}

extension ReceiverStatistics {
    /// Packets that should have arrived, from the first number to the highest.
    package var expected: Int64 {
        highest.map { $0 &- base &+ 1 } ?? 0
    }

    /// Packets that did not arrive; below zero when there were more duplicates than losses.
    package var lost: Int64 {
        expected &- received
    }

    /// The same, also of what came before the sender began to count anew; never below zero.
    package var totalLost: Int64 {
        lostBefore &+ max(lost, 0)
    }

    /// Mean deviation of the packets' spacing, in ticks of the RTP clock.
    package var jitter: UInt32 {
        UInt32(clamping: scaledJitter >> 4)
    }

    /// The next report block about `ssrc`; nil before the first packet. Ends the interval that "fraction lost" is about.
    package mutating func makeReportBlock(ssrc: UInt32, at now: MonotonicTime) -> ReportBlock? {
        guard let highest else { return nil }
        let expectedNow = expected &- expectedBefore
        let lostNow = expectedNow &- (received &- receivedBefore)
        (expectedBefore, receivedBefore) = (expected, received)
        let fraction = expectedNow > 0 && lostNow > 0 ? (lostNow << 8) / expectedNow : 0
        return ReportBlock(
            ssrc: ssrc, fractionLost: UInt8(clamping: fraction),
            cumulativeLost: Int32(min(max(lost, -0x80_0000), 0x7f_ffff)),
            highestSequence: UInt32(truncatingIfNeeded: highest), jitter: jitter,
            lastSenderReport: lastReport?.middle ?? 0,
            delaySinceLastSenderReport: lastReport.map { RoundTrip.delay(since: $0.arrival, at: now) } ?? 0)
    }
}
