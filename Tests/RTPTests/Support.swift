import RTP
import Wire

extension MonotonicTime {
    static func milliseconds(_ value: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: Int64(value * 1e6))
    }
}

func header(_ packet: [UInt8]) throws(RTPError) -> RTPHeader {
    try RTPHeader(parsing: packet.span)
}

func rtcp(_ packet: [UInt8]) throws(RTPError) -> [RTCPPacket] {
    try RTCPPacket.parse(compound: packet.span)
}
