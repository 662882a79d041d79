internal import COpenSSL

/// HMAC-SHA1 (RFC 2104), 20 bytes; nil when the library refuses.
package func hmacSHA1(key: [UInt8], _ data: [UInt8]) -> [UInt8]? {
    var digest = [UInt8](repeating: 0, count: 20)
    var length: UInt32 = 0
    let made = unsafe HMAC(EVP_sha1(), key, Int32(clamping: key.count), data, data.count, &digest, &length)
    return unsafe made != nil && length == 20 ? digest : nil
}

/// The key of long-term credentials: MD5 of `username:realm:password`, 16 bytes (RFC 8489 §9.2.2); nil when the library
/// refuses. What is not ASCII has been prepared by RFC 8265 before.
package func longTermKey(username: String, realm: String, password: String) -> [UInt8]? {
    let text = Array("\(username):\(realm):\(password)".utf8)
    var digest = [UInt8](repeating: 0, count: 16)
    var length: UInt32 = 0
    let made = unsafe EVP_Digest(text, text.count, &digest, &length, EVP_md5(), nil)
    return made == 1 && length == 16 ? digest : nil
}

/// Compares in a time that does not depend on where the two differ.
func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return unsafe CRYPTO_memcmp(left, right, left.count) == 0
}

/// CRC-32 of the first `count` bytes (ITU V.42), as FINGERPRINT uses it before its XOR (RFC 8489 §14.7).
func crc32(_ bytes: [UInt8], count: Int) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in bytes.prefix(count) {
        crc = crcTable[Int((crc ^ UInt32(byte)) & 0xff)] ^ (crc >> 8)
    }
    return ~crc
}

private let crcTable: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? 0xedb8_8320 ^ (crc >> 1) : crc >> 1 }
}
