import SRTP
import TestSupport
import Wire

extension [UInt8] {
    /// Bytes from hexadecimal digits; blanks are skipped.
    init(hex text: String) {
        let digits = text.compactMap(\.hexDigitValue)
        self = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

let profiles: [SRTPProfile] = [.aeadAES128GCM, .aes128CMHMACSHA1Length80]

func key(_ profile: SRTPProfile, seed: UInt64 = 1) -> [UInt8] {
    var random = Seeded(seed)
    return random.bytes(profile.keyAndSaltLength)
}

func packet(_ sequenceNumber: UInt16, ssrc: UInt32 = 0x1122_3344, payload: Int = 80) -> [UInt8] {
    var packet: [UInt8] = [0x80, 111]
    packet.append(uint16: sequenceNumber)
    packet.append(uint32: UInt32(sequenceNumber) &* 960)
    packet.append(uint32: ssrc)
    return packet + (0..<payload).map { UInt8(truncatingIfNeeded: $0) }
}

/// A receiver report without blocks, and `words` words behind it.
func report(ssrc: UInt32 = 0x1122_3344, words: Int = 4) -> [UInt8] {
    var packet: [UInt8] = [0x80, 201, 0, UInt8(words + 1)]
    packet.append(uint32: ssrc)
    return packet + [UInt8](repeating: 0x5a, count: words * 4)
}

extension SRTPSession {
    mutating func sealed(_ packet: [UInt8]) throws(SRTPError) -> [UInt8] {
        var scratch = packet + [UInt8](repeating: 0, count: Self.tailRoom)
        var span = scratch.mutableSpan
        let count = try protect(&span, count: packet.count)
        return Array(scratch.prefix(count))
    }

    mutating func sealedRTCP(_ packet: [UInt8]) throws(SRTPError) -> [UInt8] {
        var scratch = packet + [UInt8](repeating: 0, count: Self.tailRoom)
        var span = scratch.mutableSpan
        let count = try protectRTCP(&span, count: packet.count)
        return Array(scratch.prefix(count))
    }

    mutating func opened(_ packet: [UInt8]) throws(SRTPError) -> [UInt8] {
        var scratch = packet
        var span = scratch.mutableSpan
        let count = try unprotect(&span, count: packet.count)
        return Array(scratch.prefix(count))
    }

    mutating func openedRTCP(_ packet: [UInt8]) throws(SRTPError) -> [UInt8] {
        var scratch = packet
        var span = scratch.mutableSpan
        let count = try unprotectRTCP(&span, count: packet.count)
        return Array(scratch.prefix(count))
    }
}
