internal import Wire

/// One packet out of a compound RTCP packet (RFC 3550 §6), or one block of an extended report in it (RFC 3611 §3). What
/// we have no use for (feedback, APP, ...) has no case.
package enum RTCPPacket: Equatable, Sendable {
    case senderReport(SenderReport, [ReportBlock])
    case receiverReport(ssrc: UInt32, [ReportBlock])
    case cname(ssrc: UInt32, String)
    case bye([UInt32])
    /// The wall clock of the peer's receiver `ssrc`, to be given back to it (RFC 3611 §4.4).
    case receiverReferenceTime(ssrc: UInt32, ntpTimestamp: UInt64)
    /// At least one entry, at most 31.
    case delaySinceLastReceiverReport([DelaySinceLastReceiverReport])
}

/// What a sender says about its own stream (RFC 3550 §6.4.1).
package struct SenderReport: Equatable, Sendable {
    package var ssrc: UInt32
    /// Wall clock: seconds since 1900 in the high 32 bits, fraction of a second in the low ones.
    package var ntpTimestamp: UInt64
    /// The same instant on the stream's RTP clock.
    package var rtpTimestamp: UInt32
    package var packetCount: UInt32
    /// Payload bytes.
    package var octetCount: UInt32

    package init(ssrc: UInt32, ntpTimestamp: UInt64, rtpTimestamp: UInt32, packetCount: UInt32, octetCount: UInt32) {
        (self.ssrc, self.ntpTimestamp, self.rtpTimestamp) = (ssrc, ntpTimestamp, rtpTimestamp)
        (self.packetCount, self.octetCount) = (packetCount, octetCount)
    }
}

/// What a receiver says about a stream it hears (RFC 3550 §6.4.1).
package struct ReportBlock: Equatable, Sendable {
    /// Bytes on the wire.
    static let length = 24

    package var ssrc: UInt32
    /// Of the packets expected since the last report, in 1/256.
    package var fractionLost: UInt8
    /// -2^23 … 2^23 - 1; below zero when there were more duplicates than losses.
    package var cumulativeLost: Int32
    /// Count of cycles in the high 16 bits.
    package var highestSequence: UInt32
    /// In units of the stream's RTP clock.
    package var jitter: UInt32
    /// The middle 32 bits of the last SR's NTP timestamp; 0 for none yet.
    package var lastSenderReport: UInt32
    /// Since that SR, in 1/65536 s.
    package var delaySinceLastSenderReport: UInt32

    package init(
        ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, highestSequence: UInt32, jitter: UInt32,
        lastSenderReport: UInt32, delaySinceLastSenderReport: UInt32
    ) {
        (self.ssrc, self.fractionLost, self.cumulativeLost) = (ssrc, fractionLost, cumulativeLost)
        (self.highestSequence, self.jitter) = (highestSequence, jitter)
        self.lastSenderReport = lastSenderReport
        self.delaySinceLastSenderReport = delaySinceLastSenderReport
    }
}

/// RTCP packet types (RFC 3550 §12.1, RFC 3611 §2).
enum RTCPType {
    static let senderReport: UInt8 = 200
    static let receiverReport: UInt8 = 201
    static let sourceDescription: UInt8 = 202
    static let bye: UInt8 = 203
    static let extendedReport: UInt8 = 207
}

/// The SDES item type of a CNAME (RFC 3550 §6.5.1).
let cnameItem: UInt8 = 1
