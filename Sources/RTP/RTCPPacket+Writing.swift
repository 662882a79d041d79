internal import Wire

/// The compound packets that we send (RFC 3550 §6.1): a report, then our CNAME, then what extended
/// reports add, then a BYE when leaving.
package enum RTCPWriter {
    /// Replaces the content of `packet` by SR + SDES, or RR + SDES where nothing was sent yet.
    ///
    /// - Parameters:
    ///   - ssrc: of our stream.
    ///   - report: what we sent, nil for a receiver report.
    ///   - blocks: the streams that we hear; the first 31 are written.
    ///   - cname: its first 255 bytes are written.
    ///   - referenceTime: our wall clock, for the peer to give back (RFC 3611 §4.4).
    ///   - delay: what we give back for the peer's (RFC 3611 §4.5).
    ///   - isLeaving: appends a BYE for `ssrc`.
    package static func write(
        ssrc: UInt32, report: SenderReport?, blocks: [ReportBlock], cname: String,
        referenceTime: UInt64? = nil, delay: DelaySinceLastReceiverReport? = nil, isLeaving: Bool = false,
        into packet: inout [UInt8]
    ) {
        packet.removeAll(keepingCapacity: true)
        let blocks = blocks.prefix(31)
        let type = report == nil ? RTCPType.receiverReport : RTCPType.senderReport
        let length = (report == nil ? 4 : 24) + blocks.count * ReportBlock.length
        appendHeader(type, count: blocks.count, bodyLength: length, to: &packet)
        packet.append(uint32: ssrc)
        if let report {
            packet.append(uint64: report.ntpTimestamp)
            packet.append(uint32: report.rtpTimestamp)
            packet.append(uint32: report.packetCount)
            packet.append(uint32: report.octetCount)
        }
        for block in blocks {
            append(block, to: &packet)
        }
        append(cname: cname, ssrc: ssrc, to: &packet)
        appendExtendedReport(ssrc: ssrc, referenceTime, delay, to: &packet)
        if isLeaving {
            appendHeader(RTCPType.bye, count: 1, bodyLength: 4, to: &packet)
            packet.append(uint32: ssrc)
        }
    }

    private static func appendHeader(_ type: UInt8, count: Int, bodyLength: Int, to packet: inout [UInt8]) {
        packet.append(0x80 | UInt8(truncatingIfNeeded: count & 31))
        packet.append(type)
        packet.append(uint16: UInt16(truncatingIfNeeded: bodyLength / 4))
    }

    private static func append(_ block: ReportBlock, to packet: inout [UInt8]) {
        packet.append(uint32: block.ssrc)
        packet.append(block.fractionLost)
        packet.append(uint24: UInt32(bitPattern: block.cumulativeLost) & 0xff_ffff)
        packet.append(uint32: block.highestSequence)
        packet.append(uint32: block.jitter)
        packet.append(uint32: block.lastSenderReport)
        packet.append(uint32: block.delaySinceLastSenderReport)
    }

    private static func appendExtendedReport(
        ssrc: UInt32, _ referenceTime: UInt64?, _ delay: DelaySinceLastReceiverReport?, to packet: inout [UInt8]
    ) {
        guard referenceTime != nil || delay != nil else { return }
        let bodyLength = 4 + (referenceTime == nil ? 0 : 12) + (delay == nil ? 0 : 16)
        appendHeader(RTCPType.extendedReport, count: 0, bodyLength: bodyLength, to: &packet)
        packet.append(uint32: ssrc)
        if let referenceTime {
            packet.append(uint32: UInt32(ExtendedReport.referenceTime) << 24 | 2)
            packet.append(uint64: referenceTime)
        }
        if let delay {
            packet.append(uint32: UInt32(ExtendedReport.delay) << 24 | 3)
            packet.append(uint32: delay.ssrc)
            packet.append(uint32: delay.lastReceiverReport)
            packet.append(uint32: delay.delay)
        }
    }

    private static func append(cname: String, ssrc: UInt32, to packet: inout [UInt8]) {
        let text = cname.utf8.prefix(255)
        // SSRC, item type and length, then at least one zero up to the next 32-bit boundary.
        let bodyLength = (6 + text.count) / 4 * 4 + 4
        appendHeader(RTCPType.sourceDescription, count: 1, bodyLength: bodyLength, to: &packet)
        packet.append(uint32: ssrc)
        packet.append(cnameItem)
        packet.append(UInt8(truncatingIfNeeded: text.count))
        packet.append(contentsOf: text)
        packet.append(contentsOf: repeatElement(0, count: bodyLength - 6 - text.count))
    }
}
