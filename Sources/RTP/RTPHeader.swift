internal import Wire

/// The header of an RTP packet (RFC 3550 §5.1), as numbers and as ranges of the packet it was parsed from.
///
///      0                   1                   2                   3
///      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |                           timestamp                           |
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |                             SSRC                              |
///     +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
package struct RTPHeader: Sendable {
    /// Bytes of a header without CSRCs and extension.
    package static let minimumLength = 12

    package let marker: Bool
    /// 0 … 127.
    package let payloadType: UInt8
    package let sequenceNumber: UInt16
    /// In units of the payload's clock, 48 000 Hz for Opus.
    package let timestamp: UInt32
    package let ssrc: UInt32
    /// The payload without padding; empty in a packet that is padding only.
    package let payload: Range<Int>
    /// "defined by profile": tells one-byte from two-byte header extensions (RFC 8285 §4); 0 without extension.
    package let extensionProfile: UInt16
    /// The extension elements; empty without extension.
    package let extensions: Range<Int>

    /// - Parameter packet: decrypted; in an encrypted one the padding cannot be read.
    package init(parsing packet: Span<UInt8>) throws(RTPError) {
        let count = packet.count
        guard count >= Self.minimumLength, let first = packet.byte(at: 0), let second = packet.byte(at: 1),
            let sequenceNumber = packet.uint16(at: 2), let timestamp = packet.uint32(at: 4),
            let ssrc = packet.uint32(at: 8)
        else { throw .tooShort(count: count) }
        guard first >> 6 == 2 else { throw .version(first >> 6) }
        marker = second & 0x80 != 0
        payloadType = second & 0x7f
        (self.sequenceNumber, self.timestamp, self.ssrc) = (sequenceNumber, timestamp, ssrc)

        var start = Self.minimumLength + Int(first & 15) * 4
        if first & 0x10 != 0 {
            guard let profile = packet.uint16(at: start), let words = packet.uint16(at: start + 2) else {
                throw .truncated(needed: start + 4, count: count)
            }
            extensionProfile = profile
            extensions = start + 4..<start + 4 + Int(words) * 4
            start = extensions.upperBound
        } else {
            extensionProfile = 0
            extensions = start..<start
        }
        guard start <= count else { throw .truncated(needed: start, count: count) }
        if first & 0x20 != 0 {
            guard let padding = packet.byte(at: count - 1), padding > 0, Int(padding) <= count - start else {
                throw .padding(packet.byte(at: count - 1) ?? 0)
            }
            payload = start..<count - Int(padding)
        } else {
            payload = start..<count
        }
    }
}

// MARK: - Header extensions

/// What RFC 6464 says about the audio of one packet.
package struct AudioLevel: Equatable, Sendable {
    /// -dBov: 0 is the loudest, 127 is silence.
    package var level: UInt8
    /// The sender takes it for voice.
    package var voice: Bool

    package init(level: UInt8, voice: Bool) {
        (self.level, self.voice) = (min(level, 127), voice)
    }
}

extension RTPHeader {
    /// The data of header extension `id` in `packet`, one-byte or two-byte form (RFC 8285 §4.2, §4.3).
    package func extensionData(id: UInt8, in packet: Span<UInt8>) -> Range<Int>? {
        let isOneByte = extensionProfile == 0xbede
        guard isOneByte || extensionProfile & 0xfff0 == 0x1000, id != 0 else { return nil }
        var offset = extensions.lowerBound
        while offset < extensions.upperBound, let byte = packet.byte(at: offset) {
            offset += 1
            let element: UInt8
            let length: Int
            if isOneByte {
                (element, length) = (byte >> 4, Int(byte & 15) + 1)
                if byte == 0 { continue }
                if element == 15 { return nil }
            } else {
                if byte == 0 { continue }
                guard let size = packet.byte(at: offset) else { return nil }
                (element, length) = (byte, Int(size))
                offset += 1
            }
            guard offset + length <= extensions.upperBound else { return nil }
            if element == id { return offset..<offset + length }
            offset += length
        }
        return nil
    }

    /// The audio level in extension `id`, nil when the packet has none.
    package func audioLevel(id: UInt8, in packet: Span<UInt8>) -> AudioLevel? {
        guard let range = extensionData(id: id, in: packet), !range.isEmpty,
            let byte = packet.byte(at: range.lowerBound)
        else { return nil }
        return AudioLevel(level: byte & 0x7f, voice: byte & 0x80 != 0)
    }

    /// The mid in extension `id` (RFC 9143 §15), nil when there is none or it is not UTF-8; allocates when long.
    package func mid(id: UInt8, in packet: Span<UInt8>) -> String? {
        guard let range = extensionData(id: id, in: packet), (1...64).contains(range.count),
            let bytes = packet.bytes(in: range)
        else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}

// MARK: - Writing

extension RTPHeader {
    /// Replaces the content of `packet` by a header, to which the caller appends the payload.
    ///
    /// - Parameter audioLevel: the level and the id of its extension, written in the one-byte form; an id that does not
    ///   fit there (1 … 14) is left out.
    package static func write(
        marker: Bool, payloadType: UInt8, sequenceNumber: UInt16, timestamp: UInt32, ssrc: UInt32,
        audioLevel: (id: UInt8, value: AudioLevel)? = nil, into packet: inout [UInt8]
    ) {
        packet.removeAll(keepingCapacity: true)
        let level = audioLevel.flatMap { (1...14).contains($0.id) ? $0 : nil }
        packet.append(level == nil ? 0x80 : 0x90)
        packet.append((marker ? 0x80 : 0) | payloadType & 0x7f)
        packet.append(uint16: sequenceNumber)
        packet.append(uint32: timestamp)
        packet.append(uint32: ssrc)
        if let level {
            packet.append(uint32: 0xbede_0001)
            packet.append(level.id << 4)
            packet.append((level.value.voice ? 0x80 : 0) | level.value.level & 0x7f)
            packet.append(uint16: 0)
        }
    }
}
