import Crypto
import Foundation
import PatchbayPlugin
import PatchbayTesting
import TestSupport
import Testing

@testable import APIKeyAuth

@Suite("API keys")
struct APIKeyTests {
    private static let key = Leaks.secret(
        "an API key", "key_2f1c9e0b7a6d5c4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e")
    private static let refused = Denial(code: "invalid_api_key", message: "Invalid or expired API key")

    private let clock = TestClock(.seconds(1_800_000_000))
    private let store: MemoryStore

    init() {
        store = MemoryStore(clock: clock)
    }

    /// As `sha256sum` prints it.
    private static func hash(_ key: String) -> String {
        "sha256:" + SHA256.hash(data: Data(key.utf8)).map { String(format: "%02x", $0) }.joined()
    }

    /// As the store has it.
    private static func digits(_ key: String) -> String { String(hash(key).dropFirst("sha256:".count)) }

    /// As it is known by a key.
    private static func principal(_ principal: Principal, with key: String) -> Principal {
        var principal = principal
        principal.credentialID = String(hash(key).dropFirst("sha256:".count))
        return principal
    }

    private func auth(_ yaml: String) throws -> APIKeyAuth {
        let written = yaml.replacing("HASH", with: Self.hash(Self.key))
        return try APIKeyAuth.watched(written, stores: ["local": store], clock: clock)
    }

    private func outcome(_ auth: APIKeyAuth, _ key: String?) async throws -> AuthOutcome {
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: store, tenant: "default"))
        request.apiKey = key
        return try await auth.authenticate(request)
    }

    /// Puts a key into the store by hand.
    private func put(_ json: String, key: String = key) async throws {
        let place = "api_key:" + Self.hash(Leaks.secret("an API key", key)).dropFirst("sha256:".count)
        try await store.set(place, Array(json.utf8), timeToLive: nil)
    }

    @Test(
        "a key is its user, in the organisation and for the workflow that stand beside it",
        arguments: [
            ("{ id: ci, hash: \"HASH\", user: 7 }", Principal(id: "7")),
            ("{ id: ci, hash: \"HASH\", user: 7, organization: acme }", Principal(id: "7", organization: "acme")),
            (
                "{ id: ci, hash: \"HASH\", user: 7, organization: acme, workflow: 33, expires: 2027-01-15T08:00:01Z }",
                Principal(id: "7", organization: "acme", workflowID: 33, expires: .seconds(1_800_000_001))
            ),
        ])
    func good(entry: String, principal: Principal) async throws {
        let auth = try auth("keys: [\(entry)]")
        #expect(try await outcome(auth, Self.key).principal == Self.principal(principal, with: Self.key))
    }

    @Test("the hash may be written in capitals")
    func capitals() async throws {
        let hash = "sha256:" + Self.hash(Self.key).dropFirst(7).uppercased()
        #expect(
            try await outcome(auth("keys: [{ id: ci, hash: \"\(hash)\", user: 7 }]"), Self.key).principal?.id == "7")
    }

    @Test("passes without an API key, whatever else there is")
    func passes() async throws {
        let auth = try auth("keys: [{ id: ci, hash: \"HASH\", user: 7 }]")
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: store, tenant: "default"))
        request.bearerToken = Self.key
        request.sessionToken = Self.key
        #expect(try await auth.authenticate(request).isPass)
    }

    @Test(
        "any other key is refused, in the words of this wire",
        arguments: [
            "", " ", "x", String(key.dropLast()), key + "0", key + " ", " " + key, key + "\n", key.uppercased(),
            hash(key), String(hash(key).dropFirst(7)), "é", "\0", String(repeating: "k", count: 513),
            String(repeating: "k", count: 100_000),
        ])
    func refuses(key: String) async throws {
        let auth = try auth("{ store: local, keys: [{ id: ci, hash: \"HASH\", user: 7 }] }")
        #expect(try await outcome(auth, key).denial == Self.refused)
    }

    @Test("a key ends when it says, to the second")
    func expires() async throws {
        let auth = try auth("keys: [{ id: ci, hash: \"HASH\", user: 7, expires: 2027-01-15T08:00:01Z }]")
        #expect(try await outcome(auth, Self.key).principal != nil)
        clock.advance(by: .seconds(1))
        #expect(try await outcome(auth, Self.key).denial == Self.refused)
    }

    @Test("a key whose time is over is warned of at its end, from that second on")
    func warnings() throws {
        let entries = [
            "{ id: ci, hash: \"HASH\", user: 7 }",
            "{ id: nightly, hash: \"\(Self.hash("x"))\", user: 7, expires: 2027-01-15T08:00:01Z }",
        ]
        let auth = try auth("keys: [\(entries.joined(separator: ", "))]")
        #expect(auth.warnings().isEmpty)
        clock.advance(by: .seconds(1))
        let warnings = auth.warnings()
        let expected = "'nightly' expired on 2027-01-15T08:00:01Z: nobody is let in by it any more"
        #expect(warnings.map(\.description) == [expected])
        #expect(warnings.map(\.field) == ["keys"])
        #expect(warnings.map(\.place) == [[1, "expires"]])
    }

    @Test("of many keys each is its own user")
    func many() async throws {
        let keys = (0..<20).map { Leaks.secret("an API key", "key-number-\($0)-of-those-that-are-known") }
        let entries = keys.enumerated().map { "{ id: k\($0), hash: \"\(Self.hash($1))\", user: u\($0) }" }
        let auth = try auth("keys: [\(entries.joined(separator: ", "))]")
        for (number, key) in keys.enumerated() {
            #expect(try await outcome(auth, key).principal?.id == "u\(number)")
        }
    }

    @Test(
        "a key in the store is as good as it says there",
        arguments: [
            (#"{"user":"8"}"#, "8"),
            (#"{"id":"x","user":"8","organization":"acme","workflow":7,"expires":"2027-02-01"}"#, "8"),
            (#"{"instance":"api_key","user":"8"}"#, "8"), (#"{"instance":"other","user":"8"}"#, nil),
            (#"{"instance":7,"user":"8"}"#, nil), (#"{"user":"8","expires":"2027-01-15"}"#, nil),
            (#"{"user":"8","expires":"soon"}"#, nil), (#"{"user":"8","expires":7}"#, nil), (#"{"user":8}"#, nil),
            (#"{"user":"8","workflow":"7"}"#, nil), (#"{"user":"8","organization":["acme"]}"#, nil),
            (#"{"user":"8""#, nil), (#"{"user":"8","workflw":7}"#, nil), (#"{"user":"8","":null}"#, nil),
            (#"{"user":"8","expiry":"2027-02-01"}"#, nil), (#"{"user":"8","instnace":"other"}"#, nil),
            (#"{"id":"x","hash":"x","user":"8","instance":"api_key"}"#, "8"),
            ("[]", nil), ("", nil), ("8", nil),
        ] as [(String, String?)])
    func stored(json: String, user: String?) async throws {
        try await put(json)
        let outcome = try await outcome(auth("store: local"), Self.key)
        #expect(outcome.principal?.id == user)
        #expect(outcome.denial == (user == nil ? Self.refused : nil))
    }

    @Test("a key of nobody is refused in other words", arguments: ["{}", #"{"user":""}"#, #"{"user":null}"#])
    func nobody(json: String) async throws {
        try await put(json)
        let denial = try await outcome(auth("store: local"), Self.key).denial
        #expect(denial?.message == "API key has no associated user")
    }

    @Test("a key of the configuration wins over one in the store; one that leaves the store is no longer good")
    func both() async throws {
        try await put(#"{"user":"8"}"#)
        let both = try auth("{ store: local, keys: [{ id: ci, hash: \"HASH\", user: 7 }] }")
        #expect(try await outcome(both, Self.key).principal?.id == "7")
        let stored = try auth("store: local")
        #expect(try await outcome(stored, Self.key).principal?.id == "8")
        _ = try await store.take("api_key:" + Self.hash(Self.key).dropFirst(7))
        #expect(try await outcome(stored, Self.key).denial == Self.refused)
    }

    @Test("a caller is looked at again by the key that was shown, and not by another of the same user")
    func rechecked() async throws {
        let other = "another-key-of-the-same-user"
        try await put(#"{"user":"8","expires":"2027-01-15T08:00:10Z"}"#)
        try await put(#"{"user":"8"}"#, key: other)
        let auth = try auth("store: local")
        let caller = try #require(try await outcome(auth, Self.key).principal)
        let second = try #require(try await outcome(auth, other).principal)
        #expect(try await auth.recheck(caller) == nil)
        clock.advance(by: .seconds(10))
        #expect(try await auth.recheck(caller) == Self.refused)
        clock.advance(by: .seconds(-10))
        for json in [#"{"user":"9"}"#, #"{"user":"8","organization":"acme"}"#, #"{"user":"8","instance":"x"}"#, ""] {
            try await put(json)
            #expect(try await auth.recheck(caller) == Self.refused)
        }
        _ = try await store.take("api_key:" + Self.hash(Self.key).dropFirst(7))
        #expect(try await auth.recheck(caller) == Self.refused)
        #expect(try await auth.recheck(second) == nil)
        #expect(try await auth.recheck(Principal(id: "8")) == Self.refused)
        let away = try APIKeyAuth.watched("store: local", stores: ["local": Broken()], clock: clock)
        await #expect(throws: Broken.Away.self) { try await away.recheck(second) }
    }

    @Test("while the store cannot be asked nobody can tell")
    func noStore() async throws {
        let auth = try APIKeyAuth.watched("store: local", stores: ["local": Broken()], clock: clock)
        await #expect(throws: Broken.Away.self) { try await outcome(auth, Self.key) }
    }

    @Test("what it mints and saves it accepts, and it keeps the hash alone")
    func saved() async throws {
        let auth = try auth("store: local")
        var request = TokenRequest(user: "7", organization: "acme", workflowID: 33, lifetime: .zero, isSaved: true)
        request.expiresAfter = .seconds(60)
        let key = try await Leaks.secret("an API key", auth.mint(request))
        #expect(key.hasPrefix("key_") && key.utf8.count == 68)
        let digits = Self.hash(key).dropFirst("sha256:".count)
        #expect(
            auth.instructions(for: key, request)
                == "saved as key-\(digits.prefix(8)) in store local, under api_key:\(digits)")
        let principal = try await outcome(auth, key).principal
        #expect(
            principal
                == Self.principal(
                    Principal(id: "7", organization: "acme", workflowID: 33, expires: .seconds(1_800_000_060)),
                    with: key))
        let content = try await store.get("api_key:" + Self.hash(key).dropFirst(7))
        let text = String(decoding: try #require(content), as: UTF8.self)
        #expect(!text.contains(key) && !text.contains(Self.hash(key)))
        clock.advance(by: .seconds(60))
        #expect(try await outcome(auth, key).denial == Self.refused)
        #expect(try await auth.mint(request) != key)
    }

    @Test("a key is revoked by itself or by its hash, and one that is another instance's or configured is not")
    func revoked() async throws {
        let auth = try auth("{ store: local, keys: [{ id: ci, hash: \"HASH\", user: 7 }] }")
        let request = TokenRequest(user: "7", lifetime: .zero, isSaved: true)
        for name in [{ $0 }, Self.hash, { String(Self.hash($0).dropFirst("sha256:".count)) }] as [(String) -> String] {
            let key = try await Leaks.secret("an API key", auth.mint(request))
            #expect(try await outcome(auth, key).principal != nil)
            #expect(try await auth.revoke(name(key)))
            #expect(try await outcome(auth, key).denial == Self.refused)
            #expect(try await !auth.revoke(name(key)))
        }
        try await put(#"{"user":"8","instance":"other"}"#, key: "theirs")
        #expect(try await !auth.revoke("theirs"))
        #expect(await store.keys.count == 1)
        for own in ["what is this", #"{"user":"8","instance":null}"#] {
            try await put(own, key: "own")
            #expect(try await auth.revoke("own"))
        }
        for name in [Self.key, Self.hash(Self.key)] {
            await #expect(throws: SettingsFault.self) { try await auth.revoke(name) }
        }
    }

    @Test("lists what the configuration and the store have, by their hashes, but not what other instances have")
    func listed() async throws {
        let auth = try auth("{ store: local, keys: [{ id: ci, hash: \"HASH\", user: 7, expires: 2027-01-15 }] }")
        var request = TokenRequest(user: "8", organization: "acme", workflowID: 33, lifetime: .zero, isSaved: true)
        request.expiresAfter = .seconds(60)
        let key = try await Leaks.secret("an API key", auth.mint(request))
        try await put(#"{"user":"8","instance":"other"}"#, key: "theirs")

        var configured = KnownCredential(name: Self.digits(Self.key), store: nil)
        configured.id = "ci"
        configured.user = "7"
        configured.expires = .seconds(1_799_971_200)
        var minted = KnownCredential(name: Self.digits(key), store: "local")
        minted.id = "key-\(Self.digits(key).prefix(8))"
        minted.user = "8"
        minted.organization = "acme"
        minted.workflowID = 33
        minted.expires = .seconds(1_800_000_060)
        #expect(try await auth.credentials() == [configured, minted])
        let withoutStore = try self.auth("keys: [{ id: ci, hash: \"HASH\", user: 7, expires: 2027-01-15 }]")
        #expect(try await withoutStore.credentials() == [configured])
        let away = try APIKeyAuth.watched("store: local", stores: ["local": Broken()], clock: clock)
        await #expect(throws: Broken.Away.self) { try await away.credentials() }
    }

    @Test("lists what cannot be read, too, and shows nothing that may be a key")
    func faulty() async throws {
        let auth = try auth("{ store: local, keys: [{ id: ci, hash: \"HASH\", user: 7 }] }")
        try await put(#"{"user":"8"}"#)
        try await put("", key: "a")
        try await put(#"{"user":"8","workflw":7}"#, key: "b")
        try await put(#"{"user":"8","instance":7}"#, key: "c")
        try await put("{}", key: "d")
        let misplaced = ["", Self.digits("e").uppercased(), Leaks.secret("an API key", "key_\(Self.digits("f"))")]
        for place in misplaced {
            try await store.set("api_key:\(place)", Array(#"{"user":"8"}"#.utf8), timeToLive: nil)
        }

        let found = try await auth.credentials().filter { $0.store == "local" }
        func fault(_ key: String) -> String? { found.first { $0.name == Self.digits(key) }?.fault }
        #expect(fault(Self.key) == "'ci' of the configuration is the same key, and wins")
        #expect(fault("a") == "invalid JSON at byte 0 (RFC 8259)")
        #expect(fault("b") == "unknown key 'workflw'")
        #expect(fault("c") == "'instance' is not what it should be")
        #expect(fault("d") == "it has no user")
        let nameless = found.filter { $0.name == nil }
        #expect(nameless.count == 3 && found.count == 8)
        #expect(nameless.allSatisfy { $0.fault?.hasPrefix("what it stands under is no SHA-256") == true })
        #expect(found.count(where: \.isActive) == 2)
        #expect(!"\(found)".contains("key_"))
    }

    @Test(
        "what it mints and does not save is good where the line stands that it says",
        arguments: ["7", "a@b.example", "O'Neil \"the\" $HOME ${USER} # {x}", "тест"])
    func unsaved(user: String) async throws {
        let minter = try auth("store: local")
        var request = TokenRequest(user: user, organization: "acme: a, b", workflowID: 33, lifetime: .zero)
        request.expiresAfter = .seconds(60)
        let key = try await Leaks.secret("an API key", minter.mint(request))
        #expect(try await outcome(minter, key).denial == Self.refused)
        let instructions = try #require(minter.instructions(for: key, request))
        #expect(!instructions.contains(key))
        let line = try #require(instructions.split(separator: "\n").last)
        let auth = try APIKeyAuth.watched("keys:\n\(line)\n", clock: clock)
        #expect(
            try await outcome(auth, key).principal
                == Self.principal(
                    Principal(
                        id: user, organization: "acme: a, b", workflowID: 33, expires: .seconds(1_800_000_060)),
                    with: key))
    }

    @Test("what it cannot mint it says")
    func notMinted() async throws {
        let auth = try auth("keys: [{ id: ci, hash: \"HASH\", user: 7 }]")
        for request in [
            TokenRequest(lifetime: .zero), TokenRequest(user: "", lifetime: .zero),
            TokenRequest(user: "7", workflowID: -1, lifetime: .zero),
            TokenRequest(user: "7", lifetime: .zero, isSaved: true),
        ] {
            await #expect(throws: SettingsFault.self) { try await auth.mint(request) }
        }
    }

    @Test(
        "keys that nobody could tell apart are refused, and so is none at all",
        arguments: [
            ("{}", nil, []), ("keys: []", nil, []),
            ("keys: [{ id: \"\", hash: \"HASH\", user: 7 }]", "keys", [0, "id"]),
            ("keys: [{ id: a, hash: \"HASH\", user: \"\" }]", "keys", [0, "user"]),
            (
                "keys: [{ id: a, hash: \"HASH\", user: 7 }, { id: b, hash: \"HASH\", user: 8 }]", "keys",
                [1, "hash"]
            ),
            (
                "keys: [{ id: a, hash: \"HASH\", user: 7 }, { id: a, hash: \"sha256:\(String(repeating: "0", count: 64))\", user: 8 }]",
                "keys", [1, "id"]
            ),
        ] as [(String, String?, [SettingsFault.Step])])
    func contradictions(yaml: String, field: String?, place: [SettingsFault.Step]) {
        let fault = #expect(throws: SettingsFault.self) { try auth(yaml) }
        #expect(fault?.field == field && fault?.place == place)
    }

    @Test("two hashes are the same when every byte is")
    func comparison() throws {
        let one = KeyHash(of: Self.key)
        #expect(one.isSame(as: KeyHash(of: Self.key)))
        var digits = Array(one.hexadecimal)
        for place in digits.indices {
            let digit = digits[place]
            digits[place] = digit == "0" ? "f" : "0"
            let other = try #require(KeyHash.decode("sha256:" + String(digits)))
            #expect(!one.isSame(as: other) && !other.isSame(as: one))
            digits[place] = digit
        }
        // Each bit of the one turned about.
        let opposite = one.hexadecimal.compactMap { $0.hexDigitValue.map { String(15 - $0, radix: 16) } }.joined()
        #expect(!one.isSame(as: try #require(KeyHash.decode("sha256:" + opposite))))
    }

    @Test(
        "a hash is `sha256:` and 64 hexadecimal digits",
        arguments: [
            "", "sha256:", String(repeating: "0", count: 64), "sha256:" + String(repeating: "0", count: 63),
            "sha256:" + String(repeating: "0", count: 65), "sha256:" + String(repeating: "g", count: 64),
            "md5:" + String(repeating: "0", count: 64), "SHA256:" + String(repeating: "0", count: 64),
            "sha256:" + String(repeating: "é", count: 32), "sha256:" + String(repeating: "０", count: 64), key,
        ])
    func badHashes(text: String) {
        #expect(KeyHash.decode(text) == nil)
        guard text.count > 8 else { return }
        // It may be the key itself that somebody wrote there.
        for yaml in ["keys: [{ id: a, hash: \"\(text)\", user: 7 }]", "keys: [{ id: a, hsh: \"\(text)\", user: 7 }"] {
            let error = #expect(throws: (any Error).self) { try auth(yaml) }
            #expect(error.map { "\($0)".contains(text) } == false)
        }
    }
}

/// A store that is not there.
private struct Broken: StorePlugin {
    struct Away: Error {}
    struct Settings: PluginSettings {}
    static let type = "broken"
    static let summary = "Is not there."

    init() {}
    init(settings: Settings, context: PluginContext) {}

    func get(_ key: String) async throws -> [UInt8]? { throw Away() }
    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws { throw Away() }
    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool { throw Away() }
    func take(_ key: String) async throws -> [UInt8]? { throw Away() }
    func keys(startingWith prefix: String, limit: Int) async throws -> [String] { throw Away() }
    func increment(_ key: String, limit: Int) async throws -> Int? { throw Away() }
    func counter(_ key: String) async throws -> Int { throw Away() }
    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) { throw Away() }
    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool { throw Away() }
    func release(_ set: String, member: String) async throws { throw Away() }
    func count(_ set: String) async throws -> Int { throw Away() }
}
