/// Decides who is calling.
///
/// A tenant has a chain of these: the first `accept` wins, a `reject` ends the chain unless its denial is not final, and
/// when nobody accepts the caller is refused.
public protocol AuthPlugin: Plugin {
    /// Whether what becomes of a caller may depend on those before: by a limit, by answers that are remembered, by what is
    /// counted. It may unless it says otherwise, and each test of a configuration has an instance of its own then. Where it
    /// may not, and has no store, all tests share one: what that fetches at its start is fetched once.
    static var remembersCallers: Bool { get }

    /// Looks at one attempt to open the signaling socket.
    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome

    /// Looks again at a caller that it accepted, at each offer on that socket: what was good when the socket opened may
    /// have been withdrawn since. A denial refuses the offer, and ends no call that is live.
    ///
    /// - Returns: why the caller is no longer let in; nil, the default, while it is.
    /// - Throws: what kept the plugin from telling. The offer is refused then, too.
    func recheck(_ principal: Principal) async throws -> Denial?

    /// What nobody would want of its place in a tenant's chain, such as that no credential of its kind gets so far: shown
    /// where the tenant names the instance, and otherwise as ``Plugin/warnings()`` are.
    ///
    /// - Parameter earlier: those that the tenant has asked before, in their order.
    /// - Returns: nil, the default, where nothing is wrong with it.
    func warning(behind earlier: [any AuthPlugin]) -> String?
}

extension AuthPlugin {
    /// It may.
    public static var remembersCallers: Bool { true }

    /// Whoever was let in stays in.
    public func recheck(_ principal: Principal) async throws -> Denial? { nil }

    /// Every place will do.
    public func warning(behind earlier: [any AuthPlugin]) -> String? { nil }
}

/// What an ``AuthPlugin`` makes of a request.
public enum AuthOutcome: Sendable {
    /// Not my kind of credential; ask the next in the chain.
    case pass
    /// This is who it is.
    case accept(Principal)
    /// My kind of credential, and not good.
    case reject(Denial)
}

/// An attempt to open a signaling socket, before it is accepted.
public struct ConnectRequest: Sendable {
    /// The tenant that the route chose.
    public var tenant: String
    /// How many tenants have the instance that is asked, this one among them: what it has for all of them is theirs to share.
    public var tenantCount = 1
    /// From `?token=`, `Authorization: Bearer`, or `Sec-WebSocket-Protocol: bearer, …`.
    public var bearerToken: String?
    /// From `?api_key=` or `X-API-Key`. It wins over a bearer token where both are given.
    public var apiKey: String?
    /// The path's last part on the public route: the session an embed page was given.
    public var sessionToken: String?
    /// From the path; nil on the public route, where the session knows it.
    public var workflowID: Int?
    /// From the path; nil on the public route, where the session knows it.
    public var workflowRunID: Int?
    /// The `Origin` header, else `Referer`; empty when there is neither. Only browsers are honest about it.
    public var origin: String
    /// The peer's IP address as text.
    public var remoteAddress: String
    /// What a limit for one address counts by: the IPv4 address, or the IPv6 network of 64 bits that one subscriber
    /// has.
    public var remoteNetwork: String
    /// The tenant's runs.
    public var runs: WorkflowRuns

    /// Makes a request with nothing but a tenant, which tests then fill in.
    public init(tenant: String, runs: WorkflowRuns) {
        self.tenant = tenant
        self.runs = runs
        origin = ""
        remoteAddress = ""
        remoteNetwork = ""
    }
}

/// Who is calling, as an auth plugin established it.
public struct Principal: Sendable, Hashable {
    /// Unique within the auth instance: a user id, or the embed token.
    public var id: String
    /// The caller's organisation, where the credential says so.
    public var organization: String?
    /// Whose the caller's runs are.
    public var runOwner: RunOwner
    /// The only workflow the credential is good for; nil where the path decides.
    public var workflowID: Int?
    /// The only run the credential is good for; nil where the path decides.
    public var workflowRunID: Int?
    /// What the credential brings along for the pipeline.
    public var contextVariables: [String: JSONValue]
    /// Whether the caller's own `call_context_vars` may be added to them.
    public var mayAddContext: Bool
    /// Anybody who comes by, whom the credential tells nothing about: the visitor of a page. A visitor's client sees
    /// the transcript of a call at most, unless the tenant's `events` says otherwise.
    public var isVisitor: Bool
    /// Whether the credential opens one socket at a time. While one of it is alive, another is refused, and so is any for the same run
    /// at the other gateways of the tenant's store.
    public var hasOneSocket: Bool
    /// When the credential ends, since 1970-01-01 UTC; nil where it does not. A minute later the host refuses offers, unless
    /// the caller is an embed session's, which only opens sockets.
    public var expires: Duration?
    /// What `recheck` finds the credential by, where a caller may have several: not what is shown, but its name or its hash.
    public var credentialID: String?
    /// The auth instance that accepted the caller; nil for one whom nobody knows.
    public package(set) var authInstance: String?

    /// Makes a principal. Its runs are its organisation's, or its own when it has none, unless `runOwner` says
    /// otherwise.
    public init(
        id: String, organization: String? = nil, runOwner: RunOwner? = nil, workflowID: Int? = nil,
        workflowRunID: Int? = nil, contextVariables: [String: JSONValue] = [:], mayAddContext: Bool = true,
        isVisitor: Bool = false, hasOneSocket: Bool = false, expires: Duration? = nil
    ) {
        self.id = id
        self.organization = organization
        self.runOwner = runOwner ?? organization.map(RunOwner.organization) ?? .user(id)
        self.workflowID = workflowID
        self.workflowRunID = workflowRunID
        self.contextVariables = contextVariables
        self.mayAddContext = mayAddContext
        self.isVisitor = isVisitor
        self.hasOneSocket = hasOneSocket
        self.expires = expires
    }
}

extension Principal {
    /// The id of callers whom nobody knows.
    package static let anonymous = "anonymous"
}

/// An auth plugin that can make its own kind of credential, for `patchbay token` and the tests of a configuration.
public protocol TokenMinter: AuthPlugin {
    /// Makes a credential that `authenticate` accepts.
    ///
    /// - Throws: a ``SettingsFault`` that says which option is missing or unfit.
    func mint(_ request: TokenRequest) async throws -> String

    /// What is to be done with a credential that `mint` has made, or where it was saved, for the person who asked for it;
    /// nil when nothing is.
    func instructions(for credential: String, _ request: TokenRequest) -> String?

    /// Takes a credential out of the store that `mint` has saved it in, so that it is good no longer.
    ///
    /// - Parameter credential: the credential, or what it was saved as.
    /// - Returns: whether it was there.
    /// - Throws: a ``SettingsFault`` when it stands in the configuration, and what the store throws.
    func revoke(_ credential: String) async throws -> Bool

    /// The credentials that can be named one by one: those of its configuration, and those in its store that are no other
    /// instance's. What cannot be read is among them, with what is wrong with it: it may be what somebody is looking for.
    ///
    /// - Throws: what the store throws.
    func credentials() async throws -> [KnownCredential]
}

extension TokenMinter {
    /// Nothing: it is good at once.
    public func instructions(for credential: String, _ request: TokenRequest) -> String? { nil }

    /// Nothing: none is saved.
    public func revoke(_ credential: String) async throws -> Bool { false }

    /// None: what is good is told by a signature, or by somebody else.
    public func credentials() async throws -> [KnownCredential] { [] }
}

/// What `patchbay token` asks for. Each minter reads what it needs.
public struct TokenRequest: Sendable {
    /// The user the token speaks for, or whom an API key lets in; of an embed token, the one its calls run as.
    public var user: String?
    /// The user's organisation.
    public var organization: String?
    /// The workflow an embed token starts, or the only one an API key is good for.
    public var workflowID: Int?
    /// How long the credential is good for. Embed tokens and API keys have `expiresAfter` instead.
    public var lifetime: Duration
    /// Whether an embed token or an API key is written into its instance's store, and is good at once.
    public var isSaved: Bool
    /// Domains of pages that may use an embed token; empty allows all, when it is saved.
    public var allowedDomains: [String]
    /// How many sessions pages may start with an embed token; nil for any number.
    public var usageLimit: Int?
    /// How long an embed token or an API key is good for; nil for ever.
    public var expiresAfter: Duration?

    /// Makes a request.
    public init(
        user: String? = nil, organization: String? = nil, workflowID: Int? = nil, lifetime: Duration,
        isSaved: Bool = false, allowedDomains: [String] = [], usageLimit: Int? = nil, expiresAfter: Duration? = nil
    ) {
        self.user = user
        self.organization = organization
        self.workflowID = workflowID
        self.lifetime = lifetime
        self.isSaved = isSaved
        self.allowedDomains = allowedDomains
        self.usageLimit = usageLimit
        self.expiresAfter = expiresAfter
    }
}

extension TokenRequest {
    /// From when on a credential is no longer good that is made at `now`, since 1970-01-01 UTC, to the second; nil where it does not
    /// end.
    public func expiry(at now: Duration) -> Timestamp? {
        expiresAfter.map { Timestamp(sinceEpoch: .seconds((now + $0).components.seconds)) }
    }
}
