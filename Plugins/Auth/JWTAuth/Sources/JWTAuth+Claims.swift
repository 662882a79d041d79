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
    /// Whom a token speaks for, if its signature is good.
    ///
    /// - Throws: which claim is missing or does not hold now.
    func principal(for token: CompactToken) throws(BadToken) -> Principal {
        let claims = token.claims
        let expiry = try expiry(of: claims, now: wallClock() / .seconds(1))
        if let type = settings.typ, !token.header.isOfType(type) { throw BadToken("'typ' is not \(type)") }
        if let issuer = settings.issuer {
            let written = claims.values["iss"]
            guard let text = written?.string, isSame(text, issuer) else {
                throw .claim("iss", written, "not \(issuer)")
            }
        }
        let audience = claims.values["aud"]
        guard isForUs(audience) else {
            throw .claim("aud", audience, settings.audience.map { "not \($0)" } ?? "and no `audience` is configured")
        }
        if let name = required.unmet(in: claims) {
            throw BadToken(claims.values[name] == nil ? "no '\(name)'" : "'\(name)' is not what `required` says")
        }
        guard let user = claims.identifier(settings.userClaim) else {
            throw BadToken("no '\(settings.userClaim)' that is text or a whole number")
        }
        // Within what a Duration can hold.
        return Principal(
            id: user, organization: claims.identifier(settings.organizationClaim), expires: .seconds(min(expiry, 1e12)))
    }

    /// Whether it names an issuer that is not ours: another instance may believe that one.
    func isOfAnotherIssuer(_ token: CompactToken) -> Bool {
        guard let issuer = settings.issuer, let written = token.claims.values["iss"]?.string else { return false }
        return !isSame(written, issuer)
    }

    /// When the token ends, in seconds since 1970-01-01 UTC.
    ///
    /// - Throws: why it is not good now, or for too long.
    private func expiry(of claims: Claims, now: Double) throws(BadToken) -> Double {
        func date(_ name: String) throws(BadToken) -> Double? {
            guard claims.values[name] != nil else { return nil }
            guard let date = claims.date(name) else { throw BadToken("'\(name)' is no number") }
            return date
        }
        let leeway = settings.leeway / .seconds(1)
        guard let expiry = try date("exp") else { throw BadToken("no 'exp'") }
        guard now < expiry + leeway else { throw BadToken("expired \(BadToken.seconds(now - expiry)) ago") }
        if let start = try date("nbf"), now < start - leeway {
            throw BadToken("'nbf' is \(BadToken.seconds(start - now)) ahead")
        }
        let issued = try date("iat")
        if let issued, issued > now + leeway { throw BadToken("'iat' is \(BadToken.seconds(issued - now)) ahead") }
        if let longest = settings.longestLife {
            let life = expiry - (issued ?? now + leeway)
            guard life <= longest / .seconds(1) else {
                throw BadToken("good for \(BadToken.seconds(life)), longer than `longest_life`")
            }
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
