internal import JWTKit
internal import PatchbayPlugin

/// The claims of a token (RFC 7519 §4). A valid signature is all that `verify` asks of them.
struct Claims: JWTPayload {
    var values: [String: JSONValue]

    init(_ values: [String: JSONValue]) {
        self.values = values
    }

    init(from decoder: any Decoder) throws {
        values = try [String: JSONValue](from: decoder)
    }

    func encode(to encoder: any Encoder) throws {
        try values.encode(to: encoder)
    }

    func verify(using algorithm: some JWTAlgorithm) {}

    /// A NumericDate, in seconds since 1970-01-01 UTC; it may have a fraction.
    func date(_ name: String) -> Double? {
        switch values[name] {
        case .integer(let seconds): Double(seconds)
        case .number(let seconds): seconds
        case nil, .null, .bool, .string, .array, .object: nil
        }
    }

    /// An identifier: text, or a whole number that some issuers write in its place.
    func identifier(_ name: String) -> String? {
        switch values[name] {
        case .string(let text): text.isEmpty ? nil : text
        case .integer(let number): String(number)
        case nil, .null, .bool, .number, .array, .object: nil
        }
    }
}

extension JWTAuth {
    /// Whom the claims of a token with a good signature speak for; nil where a claim is missing or does not hold now.
    func principal(for claims: Claims, now: Duration) -> Principal? {
        let now = now / .seconds(1)
        let leeway = settings.leeway / .seconds(1)
        guard let expiry = claims.date("exp"), now < expiry + leeway else { return nil }
        if claims.values["nbf"] != nil {
            guard let start = claims.date("nbf"), now >= start - leeway else { return nil }
        }
        if let issuer = settings.issuer, claims.values["iss"] != .string(issuer) { return nil }
        guard isForUs(claims.values["aud"]), let subject = claims.identifier("sub") else { return nil }
        // Within what a Duration can hold.
        return Principal(
            id: subject, organization: claims.identifier(settings.organizationClaim),
            expires: .seconds(min(expiry, 1e12)))
    }

    /// RFC 7519 §4.1.3: who does not find itself in an audience that is there must refuse the token.
    private func isForUs(_ audience: JSONValue?) -> Bool {
        guard let expected = settings.audience else { return audience == nil }
        return switch audience {
        case .string(let one): one == expected
        case .array(let several): several.contains(.string(expected))
        case nil, .null, .bool, .integer, .number, .object: false
        }
    }
}
