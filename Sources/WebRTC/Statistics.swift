import SRTP
package import Wire

/// How a call has gone so far.
package struct CallStatistics: Sendable, Equatable {
    package var packetsSent = 0
    package var packetsReceived = 0
    package var firstPacketReceived: MonotonicTime?
    /// Of what the peer sent, by its sequence numbers (RFC 3550 appendix A.3).
    package var packetsLost = 0
    /// Of what we sent, as the peer last reported.
    package var remotePacketsLost = 0
    /// The same as a share of its last interval, 0 … 1; nil before its first report.
    package var remoteLoss: Double?
    /// Arrived after their turn was given up.
    package var packetsLate = 0
    /// Arrived a second time.
    package var packetsDuplicate = 0
    /// 20 ms frames that a pipeline got of what the peer sent, or in place of it; not silence while it sent nothing.
    package var framesReceived = 0
    /// Of those, the ones with something that came redundantly, in-band or by RED (RFC 6716 §2.1.7, RFC 2198).
    package var framesRecovered = 0
    /// Of those, the ones with a codec's guess in them.
    package var framesConcealed = 0
    /// Interarrival jitter of what we receive (RFC 3550 §6.4.1), and of what the peer receives, as it says.
    package var jitter = Duration.zero
    package var remoteJitter: Duration?
    /// How long a gap waits for what is missing, at present.
    package var reorderHold = Duration.zero
    /// From sender reports, else from extended reports, else from ICE; nil before all of them.
    package var roundTripTime: Duration?
    /// Telephone keys that the peer pressed (RFC 4733).
    package var keyPresses = 0
    /// Loudness of the peer's last packet (RFC 6464), 0 … 127 below the loudest there is; nil when it does not say.
    package var audioLevel: Int?
    /// Sound that waits for the pipeline, and frames that it did not take in time.
    package var inputDepth = Duration.zero
    package var inputFramesDropped = 0
    /// Sound that waits to be sent; how often the pipeline cleared it, and how many marks it set.
    package var playoutDepth = Duration.zero
    package var playoutClears = 0
    package var playoutMarks = 0
    /// How much work the encoder does (0 … 10), the bitrate that it works at, in bit/s, and whether it adds forward error
    /// correction.
    package var complexity = 0
    package var bitrate = 0
    package var sendsFEC = false
    /// Packets and datagrams refused, by reason.
    package var dropped = Drops()
    /// The times between packets as they arrived.
    package var gaps = DurationHistogram()

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
        /// A payload type that was not agreed.
        package var unknownStream = 0
        package var stun = 0

        mutating func count(_ error: SRTPError) {
            switch error {
            case .malformed: malformed &+= 1
            case .authentication, .replayed, .keyLength, .noRoom, .selfTest, .library: unauthentic &+= 1
            }
        }
    }
}
