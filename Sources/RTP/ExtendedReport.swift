internal import Wire

/// What a sender gives back to one receiver for its reference time (RFC 3611 §4.5).
package struct DelaySinceLastReceiverReport: Equatable, Sendable {
    /// Bytes on the wire.
    static let length = 12

    /// The receiver that it is for.
    package var ssrc: UInt32
    /// The middle 32 bits of the receiver's last reference time; 0 for none yet.
    package var lastReceiverReport: UInt32
    /// Since that arrived, in 1/65536 s.
    package var delay: UInt32

    package init(ssrc: UInt32, lastReceiverReport: UInt32, delay: UInt32) {
        (self.ssrc, self.lastReceiverReport, self.delay) = (ssrc, lastReceiverReport, delay)
    }
}

/// The blocks of an extended report, each a type, a byte of its own, and its length in words without this first one
/// (RFC 3611 §3).
enum ExtendedReport {
    static let referenceTime: UInt8 = 4
    static let delay: UInt8 = 5
    /// Of one block; a call has a stream or two.
    static let maximumDelays = 31

    /// - Parameter body: what follows the RTCP header. Reading ends at a block that reaches past it.
    static func read(_ bytes: Span<UInt8>, _ body: Range<Int>, into packets: inout [RTCPPacket]) {
        guard body.count >= 4, let ssrc = bytes.uint32(at: body.lowerBound) else { return }
        var start = body.lowerBound + 4
        while start + 4 <= body.upperBound, let type = bytes.byte(at: start), let words = bytes.uint16(at: start + 2) {
            let block = start + 4..<start + 4 + Int(words) * 4
            guard block.upperBound <= body.upperBound else { return }
            switch type {
            case referenceTime where block.count == 8:
                if let time = bytes.uint64(at: block.lowerBound) {
                    packets.append(.receiverReferenceTime(ssrc: ssrc, ntpTimestamp: time))
                }
            case delay where block.count >= DelaySinceLastReceiverReport.length:
                packets.append(.delaySinceLastReceiverReport(delays(bytes, block)))
            default: break
            }
            start = block.upperBound
        }
    }

    private static func delays(_ bytes: Span<UInt8>, _ block: Range<Int>) -> [DelaySinceLastReceiverReport] {
        var delays: [DelaySinceLastReceiverReport] = []
        for index in 0..<min(block.count / DelaySinceLastReceiverReport.length, maximumDelays) {
            let offset = block.lowerBound + index * DelaySinceLastReceiverReport.length
            if let ssrc = bytes.uint32(at: offset), let last = bytes.uint32(at: offset + 4),
                let delay = bytes.uint32(at: offset + 8)
            {
                delays.append(DelaySinceLastReceiverReport(ssrc: ssrc, lastReceiverReport: last, delay: delay))
            }
        }
        return delays
    }
}
