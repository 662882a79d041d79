public import PatchbayPlugin

/// Lets the visitors of web pages call: a page shows its public token, gets a session for it, and opens its socket with
/// that.
///
/// The tokens stand in the configuration, the sessions in a store. A session is good for one run of one workflow, until
/// it expires, and for as long as its token is.
public struct EmbedTokenAuth: AuthPlugin {
    public static let type = "embed_token"
    public static let summary = "Lets visitors of web pages call, with a session made from the page's public token."

    /// Tokens, and where their sessions are.
    public struct Settings: PluginSettings {
        @Field("The store that keeps sessions and counts runs")
        public var store: StoreReference

        @Field("The tokens that pages show")
        public var tokens: [EmbedToken]

        @Field("How long a page may connect with its session", in: .seconds(10) ... .seconds(86_400))
        public var sessionLifetime: Duration = .seconds(3_600)

        /// Makes the default settings.
        public init() {}
    }

    let store: any StorePlugin
    let tokens: [String: EmbedToken]
    let lifetime: Duration
    let context: PluginContext

    /// Makes the plugin.
    ///
    /// - Throws: a ``SettingsFault`` for an empty token, one that stands there twice, or a chat widget.
    public init(settings: Settings, context: PluginContext) throws {
        store = try context.store(settings.store)
        var tokens: [String: EmbedToken] = [:]
        for token in settings.tokens {
            if token.token.isEmpty { throw SettingsFault("a token is empty", field: "tokens") }
            if token.settings["widgetType"] == "chat" {
                throw SettingsFault("\(token.token) is for a chat widget, and only voice is served", field: "tokens")
            }
            guard tokens.updateValue(token, forKey: token.token) == nil else {
                throw SettingsFault("\(token.token) stands there twice", field: "tokens")
            }
        }
        self.tokens = tokens
        lifetime = settings.sessionLifetime
        self.context = context
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard let sessionToken = request.sessionToken else { return .pass }
        guard let session = try await session(sessionToken), session.tenant == request.tenant else {
            return reject("invalid_session_token", "Invalid session token")
        }
        if context.wallClock() >= .seconds(session.expires) { return reject("session_expired", "Session expired") }
        guard let token = tokens[session.token] else { return reject("invalid_embed_token", "Invalid embed token") }
        guard token.active else { return reject("embed_token_inactive", "Embed token is inactive") }
        guard token.workflow == session.workflowID else {
            return reject("workflow_run_workflow_mismatch", "workflow_run_workflow_mismatch")
        }
        guard originIsAllowed(request.origin, domains: token.allowedDomains) else {
            return reject("domain_not_allowed", "Domain not allowed")
        }
        return .accept(
            Principal(
                id: session.token, workflowID: session.workflowID, workflowRunID: session.workflowRunID,
                contextVariables: session.contextVariables, mayAddContext: false))
    }

    private func reject(_ code: String, _ message: String) -> AuthOutcome {
        .reject(Denial(code: code, message: message))
    }
}

/// One token that pages show, and what it is good for.
public struct EmbedToken: PluginSettings {
    @Field("What the page shows: `patchbay token` makes one")
    public var token: String

    @Field("The workflow it starts", in: 0...Int.max)
    public var workflow: Int

    @Field("Domains of pages that may use it, as `example.com`, `*.example.com` or `localhost:3000`; empty allows all")
    public var allowedDomains: [String] = []

    @Field("Whether it is good; false shuts out its sessions too")
    public var active: Bool = true

    @Field("Handed to the page as `config`")
    public var settings: [String: JSONValue] = [:]

    /// Makes the default settings.
    public init() {}
}

extension EmbedTokenAuth: TokenMinter {
    public func mint(_ request: TokenRequest) async throws -> String {
        randomToken("emb_")
    }
}
