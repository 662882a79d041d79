internal import Logging
public import PatchbayPlugin

extension APIKeyAuth {
    /// Looks a key up in the store.
    ///
    /// One that says `instance` is good in the instance of that name only, since tenants may share a store.
    func storedKey(_ hash: KeyHash) async throws -> APIKey? {
        guard let content = try await store?.get(Self.place(of: hash)) else { return nil }
        do {
            let json = try JSONValue(parsing: content)
            return context.isOfAnother(json) ? nil : try APIKey(stored: json, hash: hash)
        } catch {
            context.logger.error("an API key in the store cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private static let prefix = "\(type):"

    private static func place(of hash: KeyHash) -> String { prefix + hash.hexadecimal }
}

extension APIKeyAuth: TokenMinter {
    /// Makes a key of 32 random bytes, and writes its hash into the store where the request says so. Nobody can tell the key
    /// afterwards.
    ///
    /// - Throws: a `SettingsFault` when nobody is to be its user or it cannot be saved, and what the store throws.
    public func mint(_ request: TokenRequest) async throws -> String {
        guard request.user?.isEmpty == false else {
            throw SettingsFault("the callers with an API key are a user: say which with --user ID")
        }
        if let workflow = request.workflowID, workflow < 0 { throw SettingsFault("--workflow is 0 or more") }
        var generator = SystemRandomNumberGenerator()
        let text = "key_" + (0..<4).map { _ in hexadecimal(generator.next()) }.joined()
        guard request.isSaved else { return text }
        guard let store else {
            throw SettingsFault("this instance has no store to save a key in: write `store`, or leave --save out")
        }
        let key = apiKey(text, request)
        var json = key.written.object ?? [:]
        json["hash"] = nil
        json["instance"] = .string(context.name)
        let content = Array(JSONValue.object(json).description.utf8)
        try await store.set(Self.place(of: key.hash), content, timeToLive: nil)
        return text
    }

    public func instructions(for credential: String, _ request: TokenRequest) -> String? {
        let key = apiKey(credential, request)
        guard request.isSaved, let storeName else {
            return "The key is shown this once. Put its hash under the keys of an api_key instance:\n  - \(key.entry)"
        }
        return "saved as \(key.id) in store \(storeName), under \(Self.place(of: key.hash))"
    }

    /// - Parameter credential: the key, or its hash.
    public func revoke(_ credential: String) async throws -> Bool {
        // What looks like a hash may be a key, too.
        let hashes = [
            KeyHash(of: credential), KeyHash.decode(credential), KeyHash(hexadecimal: credential.lowercased()),
        ]
        for hash in hashes.compactMap(\.self) {
            if let key = keys.first(where: { $0.hash.isSame(as: hash) }) {
                throw SettingsFault("'\(key.id)' stands under `keys` of '\(context.name)': take it out there")
            }
            let place = Self.place(of: hash)
            guard let store, let content = try await store.get(place) else { continue }
            // One that cannot be read is nobody else's.
            if let json = try? JSONValue(parsing: content), context.isOfAnother(json) { continue }
            if try await store.take(place) != nil { return true }
        }
        return false
    }

    public func credentials() async throws -> [KnownCredential] {
        let configured = keys.map { KnownCredential($0, store: nil) }
        guard let store, let storeName else { return configured }
        let stored = try await store.entries(startingWith: Self.prefix).compactMap { place, content in
            let digits = String(decoding: place.utf8.dropFirst(Self.prefix.utf8.count), as: UTF8.self)
            return credential(digits, stored: content, in: storeName)
        }
        return configured + stored
    }

    /// What stands in the store behind the prefix; nil where it is another instance's.
    private func credential(_ digits: String, stored content: [UInt8], in store: String) -> KnownCredential? {
        let hash = KeyHash(hexadecimal: digits)
        do {
            let json = try JSONValue(parsing: content)
            if context.isOfAnother(json) { return nil }
            guard let hash else { throw StoredKeyError.place }
            var known = try KnownCredential(APIKey(stored: json, hash: hash), store: store)
            if let other = keys.first(where: { $0.hash == hash }) {
                known.fault = "'\(other.id)' of the configuration is the same key, and wins"
            }
            return known
        } catch {
            // What is no hash may be the key itself.
            return KnownCredential(name: hash?.hexadecimal, store: store, fault: "\(error)")
        }
    }

    private func apiKey(_ text: String, _ request: TokenRequest) -> APIKey {
        var key = APIKey()
        key.hash = KeyHash(of: text)
        key.id = "key-" + key.hash.hexadecimal.prefix(8)
        key.user = request.user ?? ""
        key.organization = request.organization
        key.workflow = request.workflowID
        key.expires = request.expiry(at: context.wallClock())
        return key
    }
}

/// 16 digits.
private func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

extension APIKey {
    /// Reads a key as the store has it: JSON with the names of the configuration, less its hash.
    ///
    /// - Throws: at anything that is not as it should be, names that are none among it, so that a slip opens nothing. A user
    ///   may be missing.
    fileprivate init(stored json: JSONValue, hash: KeyHash) throws(StoredKeyError) {
        func member<Value>(_ name: String, _ read: (JSONValue) -> Value?) throws(StoredKeyError) -> Value? {
            guard let value = json[name], value != .null else { return nil }
            guard let value = read(value) else { throw .member(name) }
            return value
        }
        guard let members = json.object else { throw .noObject }
        if let unknown = members.keys.filter({ !Self.storedNames.contains($0) }).min() { throw .unknown(unknown) }
        // It is bound to an instance, and nobody knows which.
        if let instance = json["instance"], instance.string == nil { throw .member("instance") }
        self.init()
        self.hash = hash
        id = try member("id", \.string) ?? ""
        user = try member("user", \.string) ?? ""
        organization = try member("organization", \.string)
        workflow = try member("workflow", \.integer)
        expires = try member("expires") { $0.string.flatMap(Timestamp.decode) }
    }

    /// What a key in the store may have: all that `mint` writes, and the hash that it stands under.
    private static let storedNames = Set(APIKey().fields.map(\.name) + ["instance"])
}

extension KnownCredential {
    fileprivate init(_ key: APIKey, store: String?) {
        self.init(name: key.hash.hexadecimal, store: store)
        id = key.id.isEmpty ? nil : key.id
        user = key.user.isEmpty ? nil : key.user
        organization = key.organization
        workflowID = key.workflow
        expires = key.expires?.sinceEpoch
        if key.user.isEmpty { fault = "it has no user" }
    }
}

/// What is wrong with a key in the store.
private enum StoredKeyError: Error, CustomStringConvertible {
    case place
    case noObject
    case member(String)
    case unknown(String)

    var description: String {
        switch self {
        case .place: "what it stands under is no SHA-256 in 64 digits from 0 to f, and is not shown: it may be the key"
        case .unknown(let name): "unknown key '\(name.prefix(64))'"
        case .noObject: "it is no JSON object"
        case .member(let name): "'\(name)' is not what it should be"
        }
    }
}
