internal import STUN
internal import Wire

/// The framing of relayed datagrams on a channel (RFC 8656 §12.4).
///
///      0                   1                   2                   3
///     +-------------------------------+-------------------------------+
///     |  channel number, 0x4000–4FFF  |  length of the data in bytes  |
///     +-------------------------------+-------------------------------+
package enum ChannelData {
    /// Bytes before the data.
    package static let headerLength = 4
    /// What a client may choose from.
    package static let numbers: ClosedRange<UInt16> = 0x4000...0x4fff

    /// The channel and where its data lies; nil when `datagram` is something else, or cut short. What follows is padding.
    package static func parse(_ datagram: Span<UInt8>) -> (channel: UInt16, data: Range<Int>)? {
        guard let channel = datagram.uint16(at: 0), numbers.contains(channel), let length = datagram.uint16(at: 2),
            headerLength + Int(length) <= datagram.count
        else { return nil }
        return (channel, headerLength..<headerLength + Int(length))
    }

    /// Writes the header of `length` bytes of data to the front of `buffer`; false where it does not fit.
    package static func writeHeader(channel: UInt16, length: Int, into buffer: inout MutableSpan<UInt8>) -> Bool {
        guard buffer.count >= headerLength, let length = UInt16(exactly: length) else { return false }
        (buffer[0], buffer[1]) = (UInt8(channel >> 8), UInt8(channel & 0xff))
        (buffer[2], buffer[3]) = (UInt8(length >> 8), UInt8(length & 0xff))
        return true
    }
}

/// Cuts what comes over TCP or TLS into STUN messages and channel data (RFC 8656 §12.5, RFC 8489 §6.2.2).
package struct StreamFramer: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0
    /// Whether something came that is neither: the connection is of no more use.
    package private(set) var isBroken = false

    package init() {}

    package mutating func append(_ received: some Sequence<UInt8>) {
        guard !isBroken else { return }
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += received
    }

    /// The next whole one, without padding; nil when more has to come.
    package mutating func next() -> [UInt8]? {
        guard !isBroken, let first = bytes.span.uint16(at: start), let stated = bytes.span.uint16(at: start + 2) else {
            return nil
        }
        let length: Int
        if first < 0x4000, stated % 4 == 0 {
            length = STUNMessage.headerSize + Int(stated)
        } else if ChannelData.numbers.contains(first) {
            length = ChannelData.headerLength + Int(stated)
        } else {
            (isBroken, bytes, start) = (true, [], 0)
            return nil
        }
        let padded = (length + 3) & ~3
        guard let frame = bytes.span.bytes(in: start..<start + length), bytes.count >= start + padded else {
            return nil
        }
        start += padded
        return frame
    }
}
