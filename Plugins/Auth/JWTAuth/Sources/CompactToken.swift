internal import PatchbayPlugin

/// A token as it is sent (JWS Compact Serialization, RFC 7515 §7.1), read but not believed: nobody has looked at its signature.
struct CompactToken {
    /// The longest token that is looked at, in bytes.
    static let longest = 8_192

    let header: Header
    let claims: Claims
    /// What the signature is about: the first two parts as they were sent.
    let signed: [UInt8]
    let signature: [UInt8]

    /// Reads a token; nil when it is none. Names that come twice in an object are refused (RFC 7519 §4): two readers would
    /// not agree on them.
    init?(_ text: String) {
        guard text.utf8.count <= Self.longest else { return nil }
        let parts = Array(text.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let headerText = base64URLDecoded(parts[0]),
            let claimsText = base64URLDecoded(parts[1]), let signature = base64URLDecoded(parts[2]),
            !signature.isEmpty, let header = (try? JSONValue(parsing: headerText)).flatMap(Header.init),
            let claims = (try? JSONValue(parsing: claimsText))?.object
        else { return nil }
        self.header = header
        self.claims = Claims(claims)
        signed = Array(parts[0]) + [UInt8(ascii: ".")] + parts[1]
        self.signature = signature
    }
}
