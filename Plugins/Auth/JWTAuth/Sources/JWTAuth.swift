internal import Logging
internal import OutboundHTTP
public import PatchbayPlugin

/// Accepts JSON Web Tokens (RFC 7519) that are signed with a shared secret or by an issuer whose public keys are known.
///
/// Passes when there is no bearer token, or an API key, which wins over one.
public struct JWTAuth: AuthPlugin {
    public static let type = "jwt"
    public static let summary = "Accepts JSON Web Tokens, signed with a shared secret or an issuer's keys."

    let settings: Settings
    let required: RequiredClaims
    let wallClock: @Sendable () -> Duration
    /// Those of the configuration.
    private let keys: [VerificationKey]
    /// Those of the issuer's key set.
    private let remoteKeys: RemoteKeys?
    private let context: PluginContext

    /// Reads the keys' files.
    ///
    /// - Throws: a ``SettingsFault`` for a key that cannot be used or can be guessed, and for settings that let no token in.
    public init(settings: Settings, context: PluginContext) throws {
        try self.init(settings: settings, context: context, access: .live)
    }

    /// Makes the plugin with a world of the test's own.
    package init(settings: Settings, context: PluginContext, access: KeySetAccess) throws {
        self.settings = settings
        self.context = context
        wallClock = context.wallClock
        required = try RequiredClaims(settings.required)
        keys = try settings.makeKeys()
        remoteKeys = try settings.makeRemoteKeys(context, access)
    }

    public func start() async throws {
        if remoteKeys != nil, settings.issuer == nil {
            context.logger.warning("tokens of every issuer that signs with a key of `jwks` are good: write `issuer`")
        }
        await remoteKeys?.start()
    }

    public func stop() async {
        await remoteKeys?.stop()
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard request.apiKey == nil, let text = request.bearerToken else { return .pass }
        // The claims come first: nothing is fetched or computed for a token that is no good however it is signed.
        guard let token = CompactToken(text), let principal = principal(for: token), try await isSigned(token) else {
            return .reject(Denial(code: "invalid_token", message: "Invalid or expired token"))
        }
        return .accept(principal)
    }

    private func isSigned(_ token: CompactToken) async throws -> Bool {
        let algorithm = token.header.algorithm
        for key in keys where key.fits(token.header) {
            if await key.hasSigned(token) { return true }
        }
        guard let remoteKeys, !algorithm.isSymmetric, settings.algorithms?.contains(algorithm) ?? true else {
            return false
        }
        for key in try await remoteKeys.keys(for: token.header) {
            if await key.hasSigned(token) { return true }
        }
        return false
    }
}
