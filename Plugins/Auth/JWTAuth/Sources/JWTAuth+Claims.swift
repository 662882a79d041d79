internal import JWTKit
internal import PatchbayPlugin

/// The claims of a token (RFC 7519 §4).
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

    /// The library's, which only signs with them.
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
    /// Whom a token speaks for, if its signature is good; nil where a claim is missing or does not hold now.
    func principal(for token: CompactToken) -> Principal? {
        let claims = token.claims
        guard let expiry = expiry(of: claims, now: wallClock() / .seconds(1)) else { return nil }
        if let type = settings.typ, !token.header.isOfType(type) { return nil }
        if let issuer = settings.issuer {
            guard let written = claims.values["iss"]?.string, isSame(written, issuer) else { return nil }
        }
        guard isForUs(claims.values["aud"]), required.hold(in: claims),
            let user = claims.identifier(settings.userClaim)
        else { return nil }
        // Within what a Duration can hold.
        return Principal(
            id: user, organization: claims.identifier(settings.organizationClaim), expires: .seconds(min(expiry, 1e12)))
    }

    /// When the token ends, in seconds since 1970-01-01 UTC; nil where it is not good now, or for too long.
    private func expiry(of claims: Claims, now: Double) -> Double? {
        let leeway = settings.leeway / .seconds(1)
        guard let expiry = claims.date("exp"), now < expiry + leeway else { return nil }
        if claims.values["nbf"] != nil {
            guard let start = claims.date("nbf"), now >= start - leeway else { return nil }
        }
        let issued = claims.date("iat")
        if claims.values["iat"] != nil {
            guard let issued, issued <= now + leeway else { return nil }
        }
        if let longest = settings.longestLife {
            guard expiry - (issued ?? now + leeway) <= longest / .seconds(1) else { return nil }
        }
        return expiry
    }

    /// RFC 7519 §4.1.3: who does not find itself in an audience that is there must refuse the token.
    private func isForUs(_ audience: JSONValue?) -> Bool {
        guard let expected = settings.audience else { return audience == nil }
        return switch audience {
        case .string(let one): isSame(one, expected)
        case .array(let several): several.contains { $0.string.map { isSame($0, expected) } ?? false }
        case nil, .null, .bool, .integer, .number, .object: false
        }
    }
}
