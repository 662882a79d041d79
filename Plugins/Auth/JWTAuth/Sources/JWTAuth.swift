internal import JWTKit
public import PatchbayPlugin

/// Accepts JSON Web Tokens (RFC 7519) that are signed with a shared secret.
///
/// Passes when there is no bearer token, or an API key, which wins over one.
public struct JWTAuth: AuthPlugin {
    public static let type = "jwt"
    public static let summary = "Accepts JSON Web Tokens that are signed with a shared secret."

    /// The longest token that is looked at, in bytes.
    static let longestToken = 8_192

    let settings: Settings
    let key: HMACKey
    let wallClock: @Sendable () -> Duration

    /// Makes the plugin.
    ///
    /// - Throws: a ``SettingsFault`` for a short secret or no algorithm.
    public init(settings: Settings, context: PluginContext) throws {
        let secret = settings.secret.withValue { Array($0.utf8) }
        guard secret.count >= 32 else {
            throw SettingsFault(
                "the secret has \(secret.count) bytes, and HS256 needs 32 (RFC 7518 §3.2): try `openssl rand -base64 32`",
                field: "secret")
        }
        guard !settings.algorithms.isEmpty else {
            throw SettingsFault("with no algorithm no token can be good: write [HS256]", field: "algorithms")
        }
        self.settings = settings
        key = HMACKey(from: secret)
        wallClock = context.wallClock
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard request.apiKey == nil, let token = request.bearerToken else { return .pass }
        guard let principal = await principal(of: token) else {
            return .reject(Denial(code: "invalid_token", message: "Invalid or expired token"))
        }
        return .accept(principal)
    }

    /// Who a token speaks for; nil when it is not good.
    private func principal(of token: String) async -> Principal? {
        guard token.utf8.count <= Self.longestToken, let header = Header(of: token),
            header.algorithm == Algorithm.hs256.rawValue, !header.isCritical,
            let claims = try? await keys().verify(token, as: Claims.self)
        else { return nil }
        return principal(for: claims, now: wallClock())
    }

    func keys() async -> JWTKeyCollection {
        await JWTKeyCollection().add(hmac: key, digestAlgorithm: .sha256)
    }
}
