package import Wire

/// What a sender counts about its stream, and what the peer reports about it (RFC 3550 §6.4.1).
package struct SenderStatistics: Sendable {
    package private(set) var packetCount: UInt32 = 0
    /// Payload bytes.
    package private(set) var octetCount: UInt32 = 0
    /// Round trip between us and the peer's RTP stack; nil until a report block tells it.
    package private(set) var roundTrip: Duration?
    /// Of what we sent in the peer's last interval, in 1/256; nil before the first report.
    package private(set) var fractionLost: UInt8?
    package private(set) var cumulativeLost: Int32 = 0
    /// As the peer measures it, in ticks of the RTP clock.
    package private(set) var jitter: UInt32 = 0

    package init() {}

    /// - Parameter payload: its length in bytes.
    package mutating func sent(payload: Int) {
        packetCount &+= 1
        octetCount &+= UInt32(truncatingIfNeeded: payload)
    }

    /// - Parameters:
    ///   - ntpTimestamp: the wall clock now, as RFC 3550 §4 writes it.
    ///   - rtpTimestamp: the stream's RTP clock now.
    package func makeReport(ssrc: UInt32, ntpTimestamp: UInt64, rtpTimestamp: UInt32) -> SenderReport {
        SenderReport(
            ssrc: ssrc, ntpTimestamp: ntpTimestamp, rtpTimestamp: rtpTimestamp, packetCount: packetCount,
            octetCount: octetCount)
    }

    /// Takes in what the peer reports about our SSRC.
    ///
    /// - Parameter ntpTimestamp: of the wall clock that our reports carry, when the block arrived.
    package mutating func receive(_ block: ReportBlock, ntpTimestamp: UInt64) {
        (fractionLost, cumulativeLost, jitter) = (block.fractionLost, block.cumulativeLost, block.jitter)
        roundTrip =
            RoundTrip.measure(
                last: block.lastSenderReport, delay: block.delaySinceLastSenderReport, ntpTimestamp: ntpTimestamp)
            ?? roundTrip
    }
}

/// When the next RTCP report is due: the interval times 0.5 … 1.5 at random, so that peers do not fall into step
/// (RFC 3550 §6.2, §6.3.1).
package struct ReportSchedule: Sendable {
    /// The mean interval; a call of two at audio rates keeps RTCP below 5 % of the bandwidth with it.
    package static let interval: Duration = .milliseconds(2500)

    /// When to send the next report.
    package private(set) var deadline: MonotonicTime

    /// The first report comes after half an interval, so that statistics appear early (RFC 3550 §6.2).
    package init(at now: MonotonicTime, random: RandomSource) {
        deadline = now + Self.randomised(Self.interval / 2, random)
    }

    /// A report was sent.
    package mutating func reported(at now: MonotonicTime, random: RandomSource) {
        deadline = now + Self.randomised(Self.interval, random)
    }

    private static func randomised(_ interval: Duration, _ random: RandomSource) -> Duration {
        let nanoseconds = interval.nanoseconds
        return .nanoseconds(nanoseconds / 2 + Int64(random.next() % UInt64(nanoseconds)))
    }
}
