internal import Crypto
internal import PatchbayPlugin

/// What a page may do with its session token: one run of one workflow.
struct Session {
    var tenant: String
    /// The embed token it was made from.
    var token: String
    var workflowID: Int
    var workflowRunID: Int
    var contextVariables: [String: JSONValue]
    /// Seconds since 1970-01-01 UTC.
    var expires: Int
}

extension Session {
    /// As it stands in the store.
    var json: JSONValue {
        [
            "tenant": .string(tenant), "token": .string(token), "workflow_id": .integer(workflowID),
            "workflow_run_id": .integer(workflowRunID), "context_variables": .object(contextVariables),
            "expires": .integer(expires),
        ]
    }

    init?(json: JSONValue) {
        guard let tenant = json["tenant"]?.string, let token = json["token"]?.string,
            let workflowID = json["workflow_id"]?.integer, let workflowRunID = json["workflow_run_id"]?.integer,
            let contextVariables = json["context_variables"]?.object, let expires = json["expires"]?.integer
        else { return nil }
        self.init(
            tenant: tenant, token: token, workflowID: workflowID, workflowRunID: workflowRunID,
            contextVariables: contextVariables, expires: expires)
    }
}

extension EmbedTokenAuth {
    /// Looks a session up, whether or not it has expired.
    func session(_ sessionToken: String) async throws -> Session? {
        guard let content = try await store.get(key(sessionToken)) else { return nil }
        return (try? JSONValue(parsing: content)).flatMap(Session.init)
    }

    /// Keeps a session under a new token. It stays twice as long as it is good, so that who comes late is told so.
    func keep(_ session: Session) async throws -> String {
        let sessionToken = randomToken("emb_session_")
        let content = Array(session.json.description.utf8)
        try await store.set(key(sessionToken), content, timeToLive: lifetime * 2)
        return sessionToken
    }

    /// Who reads the store must not be able to connect with what is found there, so the key holds a digest only.
    private func key(_ sessionToken: String) -> String {
        let digest = SHA256.hash(data: Array(sessionToken.utf8))
        return "\(Self.type):session:"
            + digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
