internal import Logging
public import PatchbayPlugin

extension EmbedTokenAuth {
    /// Looks a token up: in the configuration, then in the store, where it can be changed while the gateway runs.
    ///
    /// One that says `instance` is good in the instance of that name only, since tenants may share a store.
    func token(_ text: String) async throws -> EmbedToken? {
        guard EmbedToken.isWellFormed(text) else { return nil }
        if let token = tokens[text] { return token }
        guard let content = try await store.get(Self.key(ofToken: text)) else { return nil }
        do {
            let json = try JSONValue(parsing: content)
            if let instance = json["instance"], instance != .string(context.name) { return nil }
            return try EmbedToken(stored: json, token: text)
        } catch {
            context.logger.error("an embed token in the store cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private static func key(ofToken token: String) -> String { "\(type):token:\(token)" }

    /// Where uses are counted. Tokens of the configuration are their instance's own, whatever they are called: tenants may
    /// share a store.
    func key(ofUses token: String) -> String {
        "\(Self.type):uses:\(tokens[token] == nil ? "" : "\(context.name)/")\(token)"
    }
}

extension EmbedTokenAuth: TokenMinter {
    /// Makes a token, and writes it into the store where the request says so.
    ///
    /// - Throws: a `SettingsFault` when it is to be saved without a workflow or a user, and what the store throws.
    public func mint(_ request: TokenRequest) async throws -> String {
        var token = EmbedToken()
        token.token = "emb_" + randomText(43)
        guard request.isSaved else { return token.token }
        guard let workflow = request.workflowID, workflow >= 0 else {
            throw SettingsFault("an embed token starts a workflow: say which with --workflow ID")
        }
        guard let user = request.user, !user.isEmpty else {
            throw SettingsFault("the calls of a saved embed token run as a user: say which with --user ID")
        }
        token.workflow = workflow
        token.owner = user
        token.organization = request.organization
        token.allowedDomains = request.allowedDomains
        token.usageLimit = request.usageLimit
        token.expires = request.expiresAfter.map { Timestamp(sinceEpoch: context.wallClock() + $0) }
        var json = token.written.object ?? [:]
        json["instance"] = .string(context.name)
        let content = Array(JSONValue.object(json).description.utf8)
        try await store.set(Self.key(ofToken: token.token), content, timeToLive: nil)
        return token.token
    }

    public func instructions(for credential: String, _ request: TokenRequest) -> String? {
        guard !request.isSaved else { return nil }
        let workflow = request.workflowID ?? 1
        let entry = "{ token: \(credential), workflow: \(workflow), allowed_domains: [localhost, 127.0.0.1] }"
        return "Put it under the tokens of an embed_token instance:\n  - \(entry)"
    }
}

extension EmbedToken {
    /// Reads a token as the store has it: JSON with the names of the configuration.
    ///
    /// - Throws: at anything that is not as it should be, so that a slip opens nothing.
    fileprivate init(stored json: JSONValue, token: String) throws(StoredTokenError) {
        func member<Value>(_ name: String, _ read: (JSONValue) -> Value?) throws(StoredTokenError) -> Value? {
            guard let value = json[name], value != .null else { return nil }
            guard let value = read(value) else { throw .member(name) }
            return value
        }
        guard let workflow = try member("workflow", \.integer) else { throw .member("workflow") }
        self.init()
        self.token = token
        self.workflow = workflow
        allowedDomains = try member("allowed_domains", domains) ?? []
        active = try member("active") { if case .bool(let value) = $0 { value } else { nil } } ?? true
        usageLimit = try member("usage_limit", \.integer)
        expires = try member("expires") { $0.string.flatMap(Timestamp.decode) }
        organization = try member("organization", \.string)
        owner = try member("owner", \.string)
        settings = try member("settings", \.object) ?? [:]
    }
}

/// A list of texts. A null in it allows nothing, but it is there: an empty list would allow all.
private func domains(_ json: JSONValue) -> [String]? {
    guard case .array(let values) = json else { return nil }
    let texts = values.compactMap { $0 == .null ? "" : $0.string }
    return texts.count == values.count ? texts : nil
}

/// What is wrong with a token in the store.
private enum StoredTokenError: Error, CustomStringConvertible {
    case member(String)

    var description: String {
        switch self {
        case .member(let name): "'\(name)' is not what it should be"
        }
    }
}
