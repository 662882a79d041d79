public import PatchbayPlugin

/// Accepts API keys, of which it knows no more than their hashes: from the configuration, or from a store, where they can be
/// changed while the gateway runs.
///
/// Passes when there is no API key.
public struct APIKeyAuth: AuthPlugin {
    public static let type = "api_key"
    public static let summary = "Accepts API keys whose hashes stand in the configuration or in a store."
    public static let remembersCallers = false

    /// The keys that are known.
    public struct Settings: PluginSettings {
        @Field("The keys' hashes, and who their callers are; one that stands here wins over one in the store")
        public var keys: [APIKey] = []

        @Field("The store that has further keys")
        public var store: StoreReference?

        /// Makes the default settings.
        public init() {}
    }

    /// The longest key that is looked at, in bytes.
    static let longestKey = 512

    let context: PluginContext
    let store: (any StorePlugin)?
    let storeName: String?
    let keys: [APIKey]

    /// Makes the plugin.
    ///
    /// - Throws: a ``SettingsFault`` for keys that nobody could tell apart, and where there can be none.
    public init(settings: Settings, context: PluginContext) throws {
        guard !settings.keys.isEmpty || settings.store != nil else {
            throw SettingsFault("there is no key that could be good: write `keys` or `store`")
        }
        for (index, key) in settings.keys.enumerated() {
            let earlier = settings.keys[..<index]
            func fault(_ text: String, at member: String) -> SettingsFault {
                SettingsFault(text, field: "keys", at: [.index(index), .key(member)])
            }
            guard !key.id.isEmpty, !key.user.isEmpty else {
                throw fault("a key has a name and a user", at: key.id.isEmpty ? "id" : "user")
            }
            guard !earlier.contains(where: { $0.id == key.id }) else {
                throw fault("two keys are called '\(key.id)'", at: "id")
            }
            if let other = earlier.first(where: { $0.hash == key.hash }) {
                throw fault("'\(other.id)' and '\(key.id)' are the same key", at: "hash")
            }
        }
        keys = settings.keys
        store = try settings.store.map { try context.store($0) }
        storeName = settings.store?.name
        self.context = context
    }

    /// Keys that have expired.
    public func warnings() -> [SettingsFault] {
        let now = context.wallClock()
        return keys.enumerated().compactMap { index, key -> SettingsFault? in
            guard key.hasExpired(at: now), let end = key.expires else { return nil }
            return SettingsFault(
                "'\(key.id)' expired on \(end): nobody is let in by it any more", field: "keys",
                at: [.index(index), "expires"])
        }
    }

    /// That another instance, which refuses every key that it does not know, is asked before.
    public func warning(behind earlier: [any AuthPlugin]) -> String? {
        let other = earlier.compactMap { $0 as? APIKeyAuth }.first
        return other.map { "no API key gets so far: '\($0.context.name)' is asked before, and leaves none to others" }
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard let text = request.apiKey else { return .pass }
        guard (1...Self.longestKey).contains(text.utf8.count), let key = try await key(KeyHash(of: text)) else {
            return .reject(Self.invalidKey)
        }
        guard !key.user.isEmpty else {
            return .reject(Denial(code: "api_key_without_user", message: "API key has no associated user"))
        }
        var principal = Principal(
            id: key.user, organization: key.organization, workflowID: key.workflow, expires: key.expires?.sinceEpoch)
        principal.credentialID = key.hash.hexadecimal
        return .accept(principal)
    }

    /// Whether the caller's key is still there, and still that caller's.
    public func recheck(_ principal: Principal) async throws -> Denial? {
        guard let hash = principal.credentialID.flatMap({ KeyHash(hexadecimal: $0) }),
            let key = try await key(hash), key.user == principal.id, key.organization == principal.organization
        else { return Self.invalidKey }
        return nil
    }

    /// The key with a hash, unless its time is over.
    private func key(_ hash: KeyHash) async throws -> APIKey? {
        // All of them, wherever it is found: how long it takes tells nothing.
        var found: APIKey?
        for key in keys where key.hash.isSame(as: hash) { found = key }
        if found == nil { found = try await storedKey(hash) }
        return found.flatMap { $0.hasExpired(at: context.wallClock()) ? nil : $0 }
    }

    private static let invalidKey = Denial(code: "invalid_api_key", message: "Invalid or expired API key")
}
