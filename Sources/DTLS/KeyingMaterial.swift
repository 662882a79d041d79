/// What a handshake yields for SRTP (RFC 5764 §4.2): a profile, and each side's master key and master salt.
package struct KeyingMaterial: Equatable, Sendable {
    /// The protection profile's number in the DTLS-SRTP registry: 0x0001 or 0x0007 (RFC 5764 §4.1.2, RFC 7714 §14.2).
    package var profile: UInt16
    /// Master key then master salt of what the DTLS client sends: 16 + 14 bytes, or 16 + 12 for 0x0007.
    package var client: [UInt8]
    /// Master key then master salt of what the DTLS server sends; the same lengths.
    package var server: [UInt8]

    /// The exporter's label (RFC 5764 §4.2).
    static let label = "EXTRACTOR-dtls_srtp"
    static let keyLength = 16

    /// Bytes of salt in `profile`, nil for a profile that is never offered.
    static func saltLength(of profile: UInt16) -> Int? {
        switch profile {
        case 0x0001: 14
        case 0x0007: 12
        default: nil
        }
    }

    /// Splits the exported block: client key, server key, client salt, server salt.
    init?(profile: UInt16, exported block: [UInt8]) {
        guard let salt = Self.saltLength(of: profile), block.count == 2 * (Self.keyLength + salt) else { return nil }
        let (keys, salts) = (block.prefix(2 * Self.keyLength), block.suffix(2 * salt))
        self.profile = profile
        client = Array(keys.prefix(Self.keyLength) + salts.prefix(salt))
        server = Array(keys.suffix(Self.keyLength) + salts.suffix(salt))
    }
}
