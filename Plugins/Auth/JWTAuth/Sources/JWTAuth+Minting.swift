internal import JWTKit
public import PatchbayPlugin

extension JWTAuth: TokenMinter {
    /// Signs a token with the shared secret.
    ///
    /// - Throws: a ``SettingsFault`` when there is none, or when the token would not be good here.
    public func mint(_ request: TokenRequest) async throws -> String {
        guard let secret = settings.secret else {
            throw SettingsFault(
                "this instance has public keys, and a token is signed with the private one, which only its issuer has: get the token there, or try things out with an instance that has a `secret`"
            )
        }
        guard let user = request.user, !user.isEmpty else {
            throw SettingsFault("a JWT speaks for a user: say which with --user ID")
        }
        if let longest = settings.longestLife, request.lifetime > longest {
            throw SettingsFault("a token is good for \(longest) at most here: say --lifetime \(longest.plain) or less")
        }
        let claims = Claims(try claims(user, request))
        let algorithm = (settings.algorithms ?? [.hs256]).first(where: \.isSymmetric) ?? .hs256
        let keys = await JWTKeyCollection().add(
            hmac: HMACKey(from: secret.withValue { Array($0.utf8) }), digestAlgorithm: algorithm.digest)
        var header = JWTHeader()
        if let type = settings.typ { header.typ = type }
        return try await keys.sign(claims, header: header)
    }

    private func claims(_ user: String, _ request: TokenRequest) throws(SettingsFault) -> [String: JSONValue] {
        let now = wallClock()
        var claims: [String: JSONValue] = [
            settings.userClaim: .string(user), "iat": .integer(Int(now.components.seconds)),
            "exp": .integer(Int((now + request.lifetime).components.seconds)),
        ]
        if let organization = request.organization { claims[settings.organizationClaim] = .string(organization) }
        if let issuer = settings.issuer { claims["iss"] = .string(issuer) }
        if let audience = settings.audience { claims["aud"] = .string(audience) }
        for (name, allowed) in required.values where claims[name] == nil {
            guard let value = allowed?.first else {
                throw SettingsFault("tokens must have the claim '\(name)' here: write a value for it under `required`")
            }
            claims[name] = value
        }
        return claims
    }
}

extension Duration {
    /// As it is written for an option.
    fileprivate var plain: String { written.string ?? "\(self)" }
}
