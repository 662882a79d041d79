/// The bytes of base64url text without padding (RFC 7515 §2); nil for any text but the one way to write them.
func base64URLDecoded(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3 + 2)
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for character in text {
        guard let six = value(ofDigit: character) else { return nil }
        bits = bits << 6 | six
        count += 6
        if count >= 8 {
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> count))
        }
    }
    // What is left over must be zero, or several texts would mean the same (RFC 4648 §3.5).
    return bits & (1 << count - 1) == 0 ? bytes : nil
}

private func value(ofDigit character: UInt8) -> UInt32? {
    switch Unicode.Scalar(character) {
    case "A"..."Z": UInt32(character) - 65
    case "a"..."z": UInt32(character) - 97 + 26
    case "0"..."9": UInt32(character) - 48 + 52
    case "-": 62
    case "_": 63
    default: nil
    }
}
