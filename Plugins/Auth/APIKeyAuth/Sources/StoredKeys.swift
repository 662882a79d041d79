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
            if let instance = json["instance"], instance != .string(context.name) { return nil }
            return try APIKey(stored: json, hash: hash)
        } catch {
            context.logger.error("an API key in the store cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private static func place(of hash: KeyHash) -> String { "\(type):\(hash.hexadecimal)" }
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
        let hashes = [KeyHash(of: credential), KeyHash.decode(credential), KeyHash.decode("sha256:" + credential)]
        for hash in hashes.compactMap(\.self) {
            if let key = keys.first(where: { $0.hash.isSame(as: hash) }) {
                throw SettingsFault("'\(key.id)' stands under `keys` of '\(context.name)': take it out there")
            }
            let place = Self.place(of: hash)
            guard let store, let content = try await store.get(place) else { continue }
            // One that cannot be read is nobody else's.
            if let instance = (try? JSONValue(parsing: content))?["instance"], instance != .string(context.name) {
                continue
            }
            if try await store.take(place) != nil { return true }
        }
        return false
    }

    private func apiKey(_ text: String, _ request: TokenRequest) -> APIKey {
        var key = APIKey()
        key.hash = KeyHash(of: text)
        key.id = "key-" + key.hash.hexadecimal.prefix(8)
        key.user = request.user ?? ""
        key.organization = request.organization
        key.workflow = request.workflowID
        key.expires = request.expiresAfter.map { Timestamp(sinceEpoch: context.wallClock() + $0) }
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

/// What is wrong with a key in the store.
private enum StoredKeyError: Error, CustomStringConvertible {
    case noObject
    case member(String)
    case unknown(String)

    var description: String {
        switch self {
        case .unknown(let name): "unknown key '\(name.prefix(64))'"
        case .noObject: "it is no JSON object"
        case .member(let name): "'\(name)' is not what it should be"
        }
    }
}
