import SRTP
import Wire

/// How a call has gone so far.
package struct CallStatistics: Sendable, Equatable {
    package var packetsSent = 0
    package var packetsReceived = 0
    /// Of what the peer sent, by its sequence numbers (RFC 3550 appendix A.3).
    package var packetsLost = 0
    /// Of what we sent, as the peer last reported.
    package var remotePacketsLost = 0
    /// Arrived after their turn was given up.
    package var packetsLate = 0
    /// 20 ms frames with a codec's guess in them.
    package var framesConcealed = 0
    /// Interarrival jitter of what we receive (RFC 3550 §6.4.1).
    package var jitter = Duration.zero
    /// From RTCP or ICE, whichever spoke last; nil before either.
    package var roundTripTime: Duration?
    /// Packets and datagrams refused, by reason.
    package var dropped = Drops()
    package var gaps = ArrivalGaps()

    package init() {}

    /// Datagrams that were counted and thrown away.
    package struct Drops: Sendable, Equatable {
        /// Not from an address that ICE has validated.
        package var unvalidated = 0
        /// SRTP before the keys.
        package var early = 0
        /// SRTP authentication failed, or a replay.
        package var unauthentic = 0
        package var malformed = 0
        /// Above 250 packets, 20 reports or 256 kbit a second, or more sound than time has passed.
        package var tooMany = 0
        /// A payload type that was not agreed, or a ninth SSRC.
        package var unknownStream = 0
        package var stun = 0

        mutating func count(_ error: SRTPError) {
            switch error {
            case .tooManyStreams: unknownStream &+= 1
            case .malformed: malformed &+= 1
            case .authentication, .replayed, .keyLength, .noRoom, .selfTest, .library: unauthentic &+= 1
            }
        }
    }
}

/// The times between packets as they arrived, in whole milliseconds up to 255.
package struct ArrivalGaps: Sendable, Equatable {
    private var counts = [UInt32](repeating: 0, count: 256)
    package private(set) var longest = Duration.zero

    package init() {}

    package mutating func record(_ gap: Duration) {
        let millisecond = min(max(gap.nanoseconds / 1_000_000, 0), 255)
        counts[Int(millisecond)] &+= 1
        longest = max(longest, gap)
    }

    /// The gap below which `share` (0…1) of all gaps lie, in milliseconds; nil before the second packet.
    package func percentile(_ share: Double) -> Double? {
        let total = counts.reduce(0) { $0 + Int($1) }
        guard total > 0 else { return nil }
        var left = max(1, Int((Double(total) * share).rounded(.up)))
        for (millisecond, count) in counts.enumerated() {
            left -= Int(count)
            if left <= 0 { return Double(millisecond) }
        }
        return longest.milliseconds
    }

    package static func += (sum: inout ArrivalGaps, more: ArrivalGaps) {
        for index in sum.counts.indices { sum.counts[index] &+= more.counts[index] }
        sum.longest = max(sum.longest, more.longest)
    }
}
