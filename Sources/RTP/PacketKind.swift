internal import Wire

/// Which protocol a datagram on the media port belongs to, by its first byte (RFC 7983 §7, RFC 5761 §4).
package enum PacketKind: Sendable {
    case stun, dtls, channelData, rtp, rtcp
    /// ZRTP, QUIC, or nothing known.
    case unknown

    /// - Parameter secondByte: tells RTCP packet types, 192 … 223, from RTP payload types.
    package init(firstByte: UInt8, secondByte: UInt8) {
        self =
            switch firstByte {
            case 0...3: .stun
            case 20...63: .dtls
            case 64...79: .channelData
            case 128...191: (192...223).contains(secondByte) ? .rtcp : .rtp
            default: .unknown
            }
    }

    /// - Parameter datagram: of any length; less than two bytes are unknown.
    package init(_ datagram: Span<UInt8>) {
        guard let first = datagram.byte(at: 0), let second = datagram.byte(at: 1) else {
            self = .unknown
            return
        }
        self.init(firstByte: first, secondByte: second)
    }
}
