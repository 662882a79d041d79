internal import Logging
internal import OutboundHTTP
public import PatchbayPlugin

/// Accepts JSON Web Tokens (RFC 7519) that are signed with a shared secret or by an issuer whose public keys are known.
///
/// Passes when there is no bearer token, or an API key, which wins over one. A token of another issuer than its own is
/// refused, unless an instance behind it accepts it.
public struct JWTAuth: AuthPlugin {
    public static let type = "jwt"
    public static let summary = "Accepts JSON Web Tokens, signed with a shared secret or an issuer's keys."
    /// Its keys are the issuer's, whoever had them fetched. Key ids that nobody has are looked for once in a while, for all alike.
    public static let remembersCallers = false

    let settings: Settings
    let required: RequiredClaims
    let wallClock: @Sendable () -> Duration
    /// Those of the configuration.
    private let keys: [VerificationKey]
    /// Those of the issuer's key set.
    let remoteKeys: RemoteKeys?
    let context: PluginContext

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
        await remoteKeys?.start()
    }

    public func stop() async {
        await remoteKeys?.stop()
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard request.apiKey == nil, let text = request.bearerToken else { return .pass }
        var denial = Denial(code: "invalid_token", message: "Invalid or expired token")
        guard let token = CompactToken(text) else {
            denial.detail = BadToken.unreadable(text).description
            return .reject(denial)
        }
        do {
            // The claims come first: nothing is fetched or computed for a token that is no good however it is signed.
            let principal = try principal(for: token)
            try await checkSignature(of: token)
            return .accept(principal)
        } catch let error as BadToken {
            denial.detail = error.description
            denial.isFinal = !isOfAnotherIssuer(token)
            return .reject(denial)
        }
    }

    /// - Throws: a `BadToken`, or a `KeySetUnavailable` when nobody can tell.
    private func checkSignature(of token: CompactToken) async throws {
        let header = token.header
        let takesRemote = settings.algorithms?.contains(header.algorithm) ?? true
        var isTried = false
        for key in keys where key.fits(header) {
            if await key.hasSigned(token) { return }
            isTried = true
        }
        if let remoteKeys, !header.algorithm.isSymmetric, takesRemote {
            for key in try await remoteKeys.keys(for: header) {
                if await key.hasSigned(token) { return }
                isTried = true
            }
        }
        if isTried { throw BadToken("signature does not match") }
        throw noKey(for: header)
    }

    /// Why no key was tried.
    private func noKey(for header: Header) -> BadToken {
        let algorithm = header.algorithm
        let isOfSet = remoteKeys != nil && !algorithm.isSymmetric
        let allowed = settings.algorithms ?? Set(keys.map(\.algorithm)).sorted { $0.rawValue < $1.rawValue }
        if allowed.contains(algorithm) || isOfSet && settings.algorithms == nil {
            let key = header.keyID.map { "key '\(BadToken.cut($0))'" } ?? "key"
            return BadToken("no \(key) for \(algorithm.rawValue) \(isOfSet ? "in the key set" : "under `keys`")")
        }
        var names = allowed.map(\.rawValue)
        if remoteKeys != nil, settings.algorithms == nil { names.append("one of the key set") }
        return BadToken("signed with \(algorithm.rawValue), and only \(names.joined(separator: " or ")) is allowed")
    }
}
