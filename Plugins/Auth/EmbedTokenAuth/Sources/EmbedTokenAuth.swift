public import PatchbayPlugin

/// Lets the visitors of web pages call: a page shows its public token, gets a session for it, and opens its socket with
/// that.
///
/// The tokens stand in the configuration or in a store, the sessions in the store. A session is good for one run of one
/// workflow, until it expires, and for as long as its token is.
public struct EmbedTokenAuth: AuthPlugin {
    public static let type = "embed_token"
    public static let summary = "Lets visitors of web pages call, with a session made from the page's public token."

    /// Tokens, and where their sessions are.
    public struct Settings: PluginSettings {
        @Field("The store that keeps sessions and further tokens, and counts their uses")
        public var store: StoreReference

        @Field("The tokens that pages show; one that stands here wins over one in the store")
        public var tokens: [EmbedToken] = []

        @Field(
            "How long a page may connect with its session; while its call is live, for as long again",
            in: .seconds(10) ... .seconds(86_400))
        public var sessionLifetime: Duration = .seconds(3_600)

        @Field("Sessions that one token may start in a minute, a third of them at once", in: 1...1_000_000)
        public var startsPerToken: Int = 300

        @Field("Sessions that one IP address may start in a minute, a third of them at once", in: 1...1_000_000)
        public var startsPerAddress: Int = 60

        /// Makes the default settings.
        public init() {}
    }

    let store: any StorePlugin
    let storeName: String
    /// Those of the configuration.
    let tokens: [String: EmbedToken]
    /// The same, as they stand there.
    let written: [EmbedToken]
    let lifetime: Duration
    let startLimits: StartLimits
    /// How often a session may ask for TURN credentials: a call needs them once, and again when its network changes.
    let turnLimit = RateLimit(burst: 5, interval: .seconds(600))
    let context: PluginContext

    /// Makes the plugin.
    ///
    /// - Throws: a ``SettingsFault`` for a token that is none or stands there twice, and for a chat widget.
    public init(settings: Settings, context: PluginContext) throws {
        store = try context.store(settings.store)
        storeName = settings.store.name
        var tokens: [String: EmbedToken] = [:]
        for (index, token) in settings.tokens.enumerated() {
            let name = token.token
            func fault(_ text: String, at place: [SettingsFault.Step]) -> SettingsFault {
                SettingsFault(text, field: "tokens", at: [SettingsFault.Step.index(index)] + place)
            }
            guard EmbedToken.isWellFormed(name) else {
                throw fault("a token is made of 1 to 256 letters, digits and - . _ ~", at: ["token"])
            }
            if token.isForChat {
                throw fault("\(name) is for a chat widget, and only voice is served", at: ["settings", "widgetType"])
            }
            if let domain = token.domainFault {
                throw fault("\(name): \(domain.text)", at: ["allowed_domains", .index(domain.index)])
            }
            guard tokens.updateValue(token, forKey: name) == nil else {
                throw fault("\(name) stands there twice", at: ["token"])
            }
        }
        self.tokens = tokens
        written = settings.tokens
        lifetime = settings.sessionLifetime
        startLimits = StartLimits(perToken: settings.startsPerToken, perAddress: settings.startsPerAddress)
        self.context = context
    }

    /// Tokens that have expired.
    public func warnings() -> [SettingsFault] {
        let now = context.wallClock()
        return written.enumerated().compactMap { index, token -> SettingsFault? in
            // One that was switched off is known to let nobody in.
            guard token.active, token.hasExpired(at: now), let end = token.expires else { return nil }
            // Its place tells which: a log must not have it.
            return SettingsFault(
                "it expired on \(end): nobody is let in by it any more", field: "tokens",
                at: [.index(index), "expires"])
        }
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard let sessionToken = request.sessionToken else { return .pass }
        guard let session = try await session(sessionToken, tenant: request.tenant) else {
            return reject("invalid_session_token", "Invalid session token")
        }
        let now = context.wallClock()
        if try await session.isOver(at: now, request.runs) { return reject("session_expired", "Session expired") }
        guard let token = try await token(session.token) else { return .reject(Self.invalidToken) }
        if let denial = token.denial(at: now) { return .reject(denial) }
        let runOwner = RunOwner.embedToken(token.token)
        guard let run = try await request.runs.find(session.workflowRunID, owner: runOwner) else {
            return reject("invalid_workflow_run", "Invalid workflow run")
        }
        guard run.workflowID == token.workflow else {
            return reject("workflow_run_workflow_mismatch", "workflow_run_workflow_mismatch")
        }
        switch run.mode {
        case .voice: break
        case .text: return reject("not_a_voice_session", "Not a voice session")
        }
        guard token.allows(request.origin) else { return reject("domain_not_allowed", "Domain not allowed") }
        guard try await session.isOf(pageAt: request.origin, store, keptFor: lifetime * 2) else {
            return reject("origin_changed", "Another page started the session")
        }
        return .accept(
            Principal(
                id: token.owner ?? token.token, organization: token.organization, runOwner: runOwner,
                workflowID: run.workflowID, workflowRunID: run.id, contextVariables: session.contextVariables,
                mayAddContext: false, isVisitor: true, hasOneSocket: true,
                expires: min(.seconds(session.expires), token.expires?.sinceEpoch ?? .seconds(session.expires))))
    }

    /// Whether the caller's token is as good as when the socket opened. Its session only opens sockets: a call may outlive
    /// it.
    public func recheck(_ principal: Principal) async throws -> Denial? {
        guard case .embedToken(let name) = principal.runOwner, let token = try await token(name) else {
            return Self.invalidToken
        }
        return token.denial(at: context.wallClock())
    }

    private static let invalidToken = Denial(code: "invalid_embed_token", message: "Invalid embed token")

    private func reject(_ code: String, _ message: String) -> AuthOutcome {
        .reject(Denial(code: code, message: message))
    }
}
