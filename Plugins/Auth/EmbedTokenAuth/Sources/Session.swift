internal import Crypto
internal import PatchbayPlugin

/// What a page may do with its session token: one run of one workflow.
struct Session {
    var tenant: String
    /// The embed token it was made from.
    var token: String
    var workflowRunID: Int
    var contextVariables: [String: JSONValue]
    /// Seconds since 1970-01-01 UTC.
    var expires: Int
    /// Its name at the TURN server, which does not give the session token away.
    var turnID: String
    /// Who started it: IP address, `User-Agent` and origin.
    var clientAddress: String
    var userAgent: String
    var origin: String
}

extension Session {
    /// As it stands in the store.
    var json: JSONValue {
        [
            "tenant": .string(tenant), "token": .string(token), "workflow_run_id": .integer(workflowRunID),
            "context_variables": .object(contextVariables), "expires": .integer(expires),
            "turn_id": .string(turnID), "client_ip": .string(clientAddress), "user_agent": .string(userAgent),
            "origin": .string(origin),
        ]
    }

    init?(json: JSONValue) {
        guard let tenant = json["tenant"]?.string, let token = json["token"]?.string,
            let workflowRunID = json["workflow_run_id"]?.integer,
            let contextVariables = json["context_variables"]?.object, let expires = json["expires"]?.integer,
            let turnID = json["turn_id"]?.string, let clientAddress = json["client_ip"]?.string,
            let userAgent = json["user_agent"]?.string, let origin = json["origin"]?.string
        else { return nil }
        self.init(
            tenant: tenant, token: token, workflowRunID: workflowRunID, contextVariables: contextVariables,
            expires: expires, turnID: turnID, clientAddress: clientAddress, userAgent: userAgent, origin: origin)
    }

    /// Whether it is over at `now`, since 1970-01-01 UTC.
    func hasExpired(at now: Duration) -> Bool { now >= .seconds(expires) }

    /// Whether it opens nothing more: it has expired, and has no live call to come back to.
    func isOver(at now: Duration, _ runs: WorkflowRuns) async throws -> Bool {
        guard hasExpired(at: now) else { return false }
        return try await !runs.isLive(workflowRunID, owner: .embedToken(token))
    }

    /// Whether a page at `origin` may use it: that which started it, and where a program did, the first that comes. Who
    /// shows no origin is a program, and could show any.
    func isOf(pageAt origin: String, _ store: any StorePlugin, keptFor time: Duration) async throws -> Bool {
        guard let page = Self.page(ofOrigin: origin) else { return true }
        if let first = Self.page(ofOrigin: self.origin) { return page == first }
        let key = "\(EmbedTokenAuth.type):page:\(turnID)"
        if try await store.add(key, Array(page.utf8), timeToLive: time) { return true }
        return try await store.get(key) == Array(page.utf8)
    }

    /// Scheme, host and port of an origin or a referrer, in lower case; nil where there is none.
    private static func page(ofOrigin text: String) -> String? {
        // As long as a session keeps them.
        let text = cut(text, to: originLength).lowercased()
        guard let scheme = text.firstRange(of: "://") else { return text.isEmpty ? nil : text }
        return String(text[..<scheme.upperBound] + text[scheme.upperBound...].prefix { !"/?#".contains($0) })
    }

    /// How much of an origin is kept.
    static let originLength = 255
}

extension EmbedTokenAuth {
    /// Looks a session of the tenant up, whether or not it has expired.
    func session(_ sessionToken: String, tenant: String) async throws -> Session? {
        guard let content = try await store.get(Self.key(ofSession: sessionToken, tenant: tenant)),
            let session = (try? JSONValue(parsing: content)).flatMap(Session.init), session.tenant == tenant
        else { return nil }
        return session
    }

    /// Keeps a session under a new token. It stays twice as long as it is good, so that who comes late is told so.
    func keep(_ session: Session) async throws -> String {
        let sessionToken = "emb_session_" + randomText(43)
        let content = Array(session.json.description.utf8)
        let key = Self.key(ofSession: sessionToken, tenant: session.tenant)
        try await store.set(key, content, timeToLive: lifetime * 2)
        return sessionToken
    }

    /// Who reads the store must not be able to connect with what is found there, so the key holds a digest only. Another
    /// tenant's session is not found at all: to look at it would take a little longer than to find nothing.
    private static func key(ofSession sessionToken: String, tenant: String) -> String {
        let digest = SHA256.hash(data: Array(sessionToken.utf8))
        return "\(type):session:\(tenant):\(hexadecimal(digest))"
    }
}

func hexadecimal(_ digest: SHA256Digest) -> String {
    digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
}
