internal import Wire

extension RTCPPacket {
    /// Reads a compound packet, or a reduced-size one (RFC 5506), decrypted.
    ///
    /// Types that we have no use for are skipped; of a list with a count only what fits in its packet is read.
    /// - Throws: `RTPError` when a version or a length is wrong: the whole datagram is to be dropped.
    package static func parse(compound bytes: Span<UInt8>) throws(RTPError) -> [RTCPPacket] {
        var packets: [RTCPPacket] = []
        var start = 0
        repeat {
            guard let first = bytes.byte(at: start), let type = bytes.byte(at: start + 1),
                let words = bytes.uint16(at: start + 2)
            else { throw .tooShort(count: bytes.count - start) }
            guard first >> 6 == 2 else { throw .version(first >> 6) }
            var end = start + 4 + Int(words) * 4
            guard end <= bytes.count else { throw .truncated(needed: end, count: bytes.count) }
            let next = end
            if first & 0x20 != 0 {
                let padding = bytes.byte(at: end - 1) ?? 0
                guard padding > 0, Int(padding) <= end - start - 4 else { throw .padding(padding) }
                end -= Int(padding)
            }
            read(bytes, start + 4..<end, type: type, count: Int(first & 31), into: &packets)
            start = next
        } while start < bytes.count
        return packets
    }

    private static func read(
        _ bytes: Span<UInt8>, _ body: Range<Int>, type: UInt8, count: Int, into packets: inout [RTCPPacket]
    ) {
        switch type {
        case RTCPType.senderReport:
            guard body.count >= 24, let report = SenderReport(bytes, at: body.lowerBound) else { return }
            packets.append(.senderReport(report, blocks(bytes, body.dropFirst(24), count: count)))
        case RTCPType.receiverReport:
            guard body.count >= 4, let ssrc = bytes.uint32(at: body.lowerBound) else { return }
            packets.append(.receiverReport(ssrc: ssrc, blocks(bytes, body.dropFirst(4), count: count)))
        case RTCPType.sourceDescription:
            readSourceDescription(bytes, body, count: count, into: &packets)
        case RTCPType.bye:
            packets.append(
                .bye(
                    (0..<min(count, body.count / 4)).compactMap { index in
                        bytes.uint32(at: body.lowerBound + index * 4)
                    }))
        case RTCPType.extendedReport:
            ExtendedReport.read(bytes, body, into: &packets)
        default:
            break
        }
    }

    private static func blocks(_ bytes: Span<UInt8>, _ range: Range<Int>, count: Int) -> [ReportBlock] {
        var blocks: [ReportBlock] = []
        for index in 0..<min(count, range.count / ReportBlock.length) {
            if let block = ReportBlock(bytes, at: range.lowerBound + index * ReportBlock.length) {
                blocks.append(block)
            }
        }
        return blocks
    }

    /// Chunks of an SSRC and items, each chunk ended by a zero and padded to 32 bits (RFC 3550 §6.5).
    private static func readSourceDescription(
        _ bytes: Span<UInt8>, _ body: Range<Int>, count: Int, into packets: inout [RTCPPacket]
    ) {
        var offset = body.lowerBound
        for _ in 0..<count {
            guard offset + 4 <= body.upperBound, let ssrc = bytes.uint32(at: offset) else { return }
            offset += 4
            while let item = bytes.byte(at: offset), offset < body.upperBound, item != 0 {
                guard let length = bytes.byte(at: offset + 1) else { return }
                let text = offset + 2..<offset + 2 + Int(length)
                guard text.upperBound <= body.upperBound else { return }
                if item == cnameItem, let bytes = bytes.bytes(in: text) {
                    packets.append(.cname(ssrc: ssrc, String(decoding: bytes, as: UTF8.self)))
                }
                offset = text.upperBound
            }
            offset = body.lowerBound + ((offset - body.lowerBound) / 4 + 1) * 4
        }
    }
}

extension SenderReport {
    fileprivate init?(_ bytes: Span<UInt8>, at offset: Int) {
        guard let ssrc = bytes.uint32(at: offset), let ntp = bytes.uint64(at: offset + 4),
            let rtp = bytes.uint32(at: offset + 12), let packets = bytes.uint32(at: offset + 16),
            let octets = bytes.uint32(at: offset + 20)
        else { return nil }
        self.init(ssrc: ssrc, ntpTimestamp: ntp, rtpTimestamp: rtp, packetCount: packets, octetCount: octets)
    }
}

extension ReportBlock {
    fileprivate init?(_ bytes: Span<UInt8>, at offset: Int) {
        guard let ssrc = bytes.uint32(at: offset), let lost = bytes.uint32(at: offset + 4),
            let highest = bytes.uint32(at: offset + 8), let jitter = bytes.uint32(at: offset + 12),
            let lastReport = bytes.uint32(at: offset + 16), let delay = bytes.uint32(at: offset + 20)
        else { return nil }
        self.init(
            ssrc: ssrc, fractionLost: UInt8(lost >> 24), cumulativeLost: Int32(bitPattern: lost << 8) >> 8,
            highestSequence: highest, jitter: jitter, lastSenderReport: lastReport, delaySinceLastSenderReport: delay)
    }
}
