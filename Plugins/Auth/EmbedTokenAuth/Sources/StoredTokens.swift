internal import Crypto
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
            return try token(text, stored: content)
        } catch {
            // Who reads the log must not be able to use it.
            let digest = hexadecimal(SHA256.hash(data: Array(text.utf8))).prefix(8)
            context.logger.error(
                "an embed token in the store cannot be read", metadata: ["sha256": "\(digest)", "error": "\(error)"])
            return nil
        }
    }

    /// Reads a token as the store has it; nil where it is another instance's.
    private func token(_ text: String, stored content: [UInt8]) throws -> EmbedToken? {
        let json = try JSONValue(parsing: content)
        return context.isOfAnother(json) ? nil : try EmbedToken(stored: json, token: text)
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
    /// - Throws: a `SettingsFault` when it cannot be, or is to be saved without a workflow or a user, and what the store throws.
    public func mint(_ request: TokenRequest) async throws -> String {
        if let workflow = request.workflowID, workflow < 0 { throw SettingsFault("--workflow is 0 or more") }
        if let limit = request.usageLimit, limit < 1 { throw SettingsFault("--usage-limit is 1 or more") }
        let token = embedToken("emb_" + randomText(43), request)
        if let fault = token.domainFault { throw SettingsFault(fault.text) }
        guard request.isSaved else { return token.token }
        guard request.workflowID != nil else {
            throw SettingsFault("an embed token starts a workflow: say which with --workflow ID")
        }
        guard request.user?.isEmpty == false else {
            throw SettingsFault("the calls of a saved embed token run as a user: say which with --user ID")
        }
        var json = token.written.object ?? [:]
        json["instance"] = .string(context.name)
        json["token"] = nil  // it is in the key
        let content = Array(JSONValue.object(json).description.utf8)
        try await store.set(Self.key(ofToken: token.token), content, timeToLive: nil)
        return token.token
    }

    public func instructions(for credential: String, _ request: TokenRequest) -> String? {
        request.isSaved
            ? "saved in store \(storeName), good in '\(context.name)'"
            : "Put it under the tokens of an embed_token instance:\n  - \(embedToken(credential, request).entry)"
    }

    public func revoke(_ credential: String) async throws -> Bool {
        guard tokens[credential] == nil else {
            throw SettingsFault("it stands under `tokens` of '\(context.name)': take it out there")
        }
        let key = Self.key(ofToken: credential)
        guard let content = try await store.get(key) else { return false }
        // One that cannot be read is nobody else's.
        if let json = try? JSONValue(parsing: content), context.isOfAnother(json) { return false }
        return try await store.take(key) != nil
    }

    public func credentials() async throws -> [KnownCredential] {
        var known: [KnownCredential] = []
        for token in written {
            var credential = KnownCredential(token, store: nil)
            credential.uses = try await store.counter(key(ofUses: token.token))
            known.append(credential)
        }
        let prefix = Self.key(ofToken: "")
        for (key, content) in try await store.entries(startingWith: prefix) {
            let text = String(decoding: key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
            guard var credential = credential(text, stored: content) else { continue }
            // Those of one that the configuration has are not this one's.
            if tokens[text] == nil { credential.uses = try await store.counter(self.key(ofUses: text)) }
            known.append(credential)
        }
        return known
    }

    /// What stands in the store; nil where it is another instance's.
    private func credential(_ text: String, stored content: [UInt8]) -> KnownCredential? {
        do {
            guard let token = try token(text, stored: content) else { return nil }
            guard EmbedToken.isWellFormed(text) else {
                return KnownCredential(
                    name: text, store: storeName, fault: "a token is made of 1 to 256 letters, digits and - . _ ~")
            }
            var known = KnownCredential(token, store: storeName)
            if tokens[text] != nil { known.fault = "the configuration has one of this name, which wins" }
            return known
        } catch {
            return KnownCredential(name: text, store: storeName, fault: "\(error)")
        }
    }

    private func embedToken(_ text: String, _ request: TokenRequest) -> EmbedToken {
        var token = EmbedToken()
        token.token = text
        token.workflow = request.workflowID ?? 1
        token.owner = request.user
        token.organization = request.organization
        token.allowedDomains = request.allowedDomains
        // It stands there to be tried out, and to be changed.
        if !request.isSaved, token.allowedDomains.isEmpty { token.allowedDomains = ["localhost", "127.0.0.1"] }
        token.usageLimit = request.usageLimit
        token.expires = request.expiry(at: context.wallClock())
        return token
    }
}

extension EmbedToken {
    /// Reads a token as the store has it: JSON with the names of the configuration.
    ///
    /// - Throws: at anything that is not as it should be, names that are none among it, so that a slip opens nothing.
    fileprivate init(stored json: JSONValue, token: String) throws(StoredTokenError) {
        if let unknown = json.object?.keys.filter({ !Self.storedNames.contains($0) }).min() { throw .unknown(unknown) }
        // It is bound to an instance, and nobody knows which.
        if let instance = json["instance"], instance.string == nil { throw .member("instance") }
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
        guard let owner = try member("owner", { $0.string.flatMap { $0.isEmpty ? nil : $0 } }) else {
            throw .member("owner")
        }
        self.owner = owner
        settings = try member("settings", \.object) ?? [:]
    }

    /// What a token in the store may have: all that `mint` writes.
    private static let storedNames = Set(EmbedToken().fields.map(\.name) + ["instance"])
}

extension KnownCredential {
    fileprivate init(_ token: EmbedToken, store: String?) {
        self.init(name: token.token, store: store)
        user = token.owner
        organization = token.organization
        workflowID = token.workflow
        expires = token.expires?.sinceEpoch
        isActive = token.active
        usageLimit = token.usageLimit
        fault = token.isForChat ? "it is for a chat widget, and only voice is served" : token.domainFault?.text
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
    case unknown(String)

    var description: String {
        switch self {
        case .unknown(let name): "unknown key '\(name.prefix(64))'"
        case .member(let name): "'\(name)' is not what it should be"
        }
    }
}
