import RTP
import Wire

/// A small deterministic generator, so that a failing case can be repeated.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

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
