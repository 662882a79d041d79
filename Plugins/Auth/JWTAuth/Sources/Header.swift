internal import PatchbayPlugin

/// What of a token's header (RFC 7515 §4) has a say. Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) have none:
/// who forges a token writes its header.
struct Header {
    /// The longest `kid` that is looked for, in bytes.
    static let longestKeyID = 64

    /// `alg`
    let algorithm: JWTAuth.Algorithm
    /// `kid`: which key it should be. It is compared, and nothing else is done with it.
    let keyID: String?
    /// `typ`
    let type: String?

    /// Reads a header's JSON; nil when it is none, or asks for something that we do not do.
    init?(_ json: JSONValue) {
        guard let members = json.object, let name = members["alg"]?.string,
            let algorithm = JWTAuth.Algorithm(rawValue: name),
            // A list of extensions that one must understand (§4.1.11); and one of those (RFC 7797) by itself.
            members["crit"] == nil, members["b64"] == nil
        else { return nil }
        if let keyID = members["kid"] {
            guard let keyID = keyID.string, (1...Self.longestKeyID).contains(keyID.utf8.count) else { return nil }
        }
        if let type = members["typ"], type.string == nil { return nil }
        self.algorithm = algorithm
        keyID = members["kid"]?.string
        type = members["typ"]?.string
    }

    /// Whether the token is of a type (RFC 7515 §4.1.9), as in `at+jwt` or `application/at+jwt`.
    func isOfType(_ expected: String) -> Bool {
        guard let type else { return false }
        return isSame(Self.shortened(type), Self.shortened(expected))
    }

    private static func shortened(_ mediaType: String) -> String {
        let name = mediaType.lowercased()
        return name.hasPrefix("application/") ? String(name.dropFirst("application/".count)) : name
    }
}

/// Whether two texts are the same to the byte. `==` takes é and e with an accent for the same.
func isSame(_ one: String, _ other: String) -> Bool {
    one.utf8.elementsEqual(other.utf8)
}
