internal import JWTKit
public import PatchbayPlugin

extension JWTAuth: TokenMinter {
    public func mint(_ request: TokenRequest) async throws -> String {
        guard let user = request.user, !user.isEmpty else {
            throw SettingsFault("a JWT speaks for a user: say which with --user ID")
        }
        let now = wallClock().components.seconds
        var claims: [String: JSONValue] = [
            "sub": .string(user), "iat": .integer(Int(now)),
            "exp": .integer(Int((wallClock() + request.lifetime).components.seconds)),
        ]
        if let organization = request.organization { claims[settings.organizationClaim] = .string(organization) }
        if let issuer = settings.issuer { claims["iss"] = .string(issuer) }
        if let audience = settings.audience { claims["aud"] = .string(audience) }
        return try await keys().sign(Claims(claims))
    }
}
