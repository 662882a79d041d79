import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

/// What instances of ``TouchyAuth`` and ``TouchyStore`` went through, in order, by the word that a test gives them.
private let lives = Mutex<[String: [String]]>([:])

private struct TouchySettings: PluginSettings {
    enum Mood: String, FieldChoice {
        case good
        case away
        /// Neither starts nor minds being cancelled.
        case hangs
        /// Starts, and does not stop.
        case clings
        /// Starts, and finds nobody to talk to.
        case lonely
    }

    @Field("Where it notes its life") var book: String
    @Field("What it does") var mood: Mood = .good
    @Field("What it keeps things in") var store: StoreReference?

    func start(_ name: String) async throws {
        lives.withLock { $0[book, default: []].append("\(name) starts") }
        switch mood {
        case .good, .clings, .lonely: break
        case .away: throw CallerError("nobody is there")
        case .hangs: await Self.forever()
        }
    }

    func verify() throws {
        if mood == .lonely { throw CallerError("nobody is there") }
    }

    func stop(_ name: String) async {
        lives.withLock { $0[book, default: []].append("\(name) stops") }
        if mood == .clings { await Self.forever() }
    }

    private static func forever() async {
        await Task.detached { try? await Task.sleep(for: .seconds(60)) }.value
    }
}

private struct TouchyAuth: AuthPlugin {
    static let type = "touchy"
    static let summary = "Does what a test says."
    let settings: TouchySettings
    let name: String

    init(settings: TouchySettings, context: PluginContext) {
        (self.settings, name) = (settings, context.name)
    }

    func start() async throws { try await settings.start(name) }
    func verify() async throws { try settings.verify() }
    func stop() async { await settings.stop(name) }
    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .pass }
}

private struct TouchyStore: StorePlugin {
    static let type = "touchy"
    static let summary = "Does what a test says."
    let settings: TouchySettings
    let name: String

    init(settings: TouchySettings, context: PluginContext) {
        (self.settings, name) = (settings, context.name)
    }

    func start() async throws { try await settings.start(name) }
    func verify() async throws { try settings.verify() }
    func stop() async { await settings.stop(name) }
    func get(_ key: String) async throws -> [UInt8]? { nil }
    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {}
    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool { true }
    func take(_ key: String) async throws -> [UInt8]? { nil }
    func keys(startingWith prefix: String, limit: Int) async throws -> [String] { [] }
    func increment(_ key: String, limit: Int) async throws -> Int? { nil }
    func counter(_ key: String) async throws -> Int { 0 }
    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) { (0, 0) }
    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool { true }
    func release(_ set: String, member: String) async throws {}
    func count(_ set: String) async throws -> Int { 0 }
}

@Suite("Starting everything to see whether it can", .timeLimit(.minutes(1)))
struct RehearsalTests {
    private let book = "\(UInt64.random(in: 0 ... .max))"
    private var noted: [String] { lives.withLock { $0[book] ?? [] } }

    /// What could not, as the command prints it: path and message.
    private func rehearse(_ stores: String, _ auth: String) async throws -> [String] {
        let plugins: [PluginRegistration] = .builtin + [.auth(TouchyAuth.self), .store(TouchyStore.self)]
        let yaml = """
            version: 1
            stores: { \(stores) }
            auth: { \(auth) }
            pipelines: { echo: { type: echo } }
            tenants: { all: { match: any, auth: [door], pipeline: echo, store: shelf } }
            """.replacing("touchy", with: "touchy, book: '\(book)'")
        let configuration = try GatewayConfiguration.load(text: yaml, environment: [:], catalogue: plugins.catalogue)
        let gateway = try Gateway(configuration, plugins: plugins, logger: .watched)
        let faults = await gateway.rehearse(patience: .milliseconds(200))
        return faults?.faults.map { "\($0.line): \($0.path) \($0.message)" } ?? []
    }

    @Test("what serves nobody is warned of: instances that nothing names, tenants that nobody reaches")
    func warnings() throws {
        let yaml = """
            version: 1
            media: { addresses: [127.0.0.1] }
            stores: { shelf: { type: memory }, attic: { type: memory }, cellar: { type: memory } }
            quotas:
              seats: { type: concurrency, limit: 1, store: attic }
              spare: { type: concurrency, limit: 1, store: cellar }
            pipelines: { echo: { type: echo }, mute: { type: echo }, seven: { type: echo } }
            tenants:
              near:
                { match: any, allow_anonymous: true, quotas: [seats], pipeline: echo, pipelines: { 7: seven }, store: shelf }
              far: { match: { path: /far }, allow_anonymous: true, pipeline: echo, store: shelf, ice: { outbound: all } }
            """
        let plugins: [PluginRegistration] = .builtin
        let configuration = try GatewayConfiguration.load(text: yaml, environment: [:], catalogue: plugins.catalogue)
        let gateway = try Gateway(configuration, plugins: plugins, logger: .watched)
        let warnings = gateway.warnings()
        #expect(
            warnings.faults.map(\.path) == ["stores.cellar", "quotas.spare", "pipelines.mute", "tenants.far.ice"])
        #expect(warnings.description.hasPrefix("config.yaml:3:"))
        #expect(warnings.description.contains(": warning: ") && !warnings.description.contains("error"))
    }

    /// What is warned of at 2027-01-15T08:00:00Z, where a tenant asks these: path and message.
    private func told(_ auth: String, asked: String) throws -> [String] {
        try told(
            """
            version: 1
            auth: { \(auth) }
            pipelines: { echo: { type: echo } }
            tenants: { t: { match: any, auth: \(asked), pipeline: echo } }
            """)
    }

    private func told(_ yaml: String) throws -> [String] {
        let plugins: [PluginRegistration] = .builtin
        let configuration = try GatewayConfiguration.load(
            text: yaml, environment: ["SECRET": Leaks.secret("an HMAC secret", "2b7e151628aed2a6abf7158809cf4f3c")],
            catalogue: plugins.catalogue)
        let deployment = try Deployment(
            configuration, plugins: plugins, logger: .watched, wallClock: { .seconds(1_800_000_000) })
        let warnings = deployment.warnings(configuration)
        #expect(warnings.allSatisfy { $0.isWarning })
        return warnings.map { "\($0.path): \($0.message)" }
    }

    @Test("a credential whose time is over by the clock is warned of where that stands")
    func expired() throws {
        let tokens = "{ token: emb_old, workflow: 1, expires: 2027-01-15 }, { token: emb_new, workflow: 1 }"
        let hash = String(repeating: "a", count: 64)
        let key = "{ id: nightly, user: ci, hash: \"sha256:\(hash)\", expires: 2027-01-15T08:00:00Z }"
        let pages = "pages: { type: embed_token, store: memory, tokens: [\(tokens)] }"
        let found = try told("\(pages), machines: { type: api_key, keys: [\(key)] }", asked: "[pages, machines]")
        let end = "nobody is let in by it any more"
        #expect(
            found == [
                "auth.machines.keys[0].expires: 'nightly' expired on 2027-01-15T08:00:00Z: \(end)",
                "auth.pages.tokens[0].expires: it expired on 2027-01-15: \(end)",
            ])
    }

    @Test(
        "an auth instance that no credential gets to is warned of, where the tenant names it",
        arguments: [
            ("[all, us]", 1, "no token gets so far: 'all'"), ("[all, keys, us]", 2, "no token gets so far: 'all'"),
            ("[us, all, them]", 2, "no token gets so far: 'all'"),
            ("[us, also, them]", 1, "no token gets so far: 'us'"),
            ("[keys, us, more]", 2, "no API key gets so far: 'keys'"), ("[us, them, keys, all]", nil, ""),
            ("[all, all]", nil, ""), ("[more]", nil, ""),
        ] as [(String, Int?, String)])
    func chains(asked: String, place: Int?, reason: String) throws {
        let secret = "secret: { env: SECRET }"
        let found = try told(
            """
            all: { type: jwt, \(secret) }, us: { type: jwt, \(secret), issuer: us },
              also: { type: jwt, \(secret), issuer: us, audience: voice }, them: { type: jwt, \(secret), issuer: them },
              keys: { type: api_key, store: memory }, more: { type: api_key, store: memory }
            """, asked: asked)
        let reasons = found.filter { $0.contains("gets so far") }
        #expect(reasons.count == (place == nil ? 0 : 1), "\(found)")
        let expected = "tenants.t.auth[\(place ?? 0)]: \(reason) is asked before"
        #expect(reasons.allSatisfy { $0.hasPrefix(expected) }, "\(found)")
    }

    private static let slots = "type: dograh_slots, store: shared"
    private static let billing = "type: dograh, mode: hosted"
    private static let directory = #"directory: { organizations: { "9": { workflows: { "33": { owner: "7" } } } } }"#

    @Test(
        "a quota that knows runs by numbers which others have, too, is warned of where callers may choose them",
        arguments: [
            (slots, "auth: [users]", true), (slots, "auth: [users], runs: registered", false),
            (slots, "auth: [pages]", false), (slots, "auth: [pages, users]", true),
            (slots, "auth: [pages], allow_anonymous: true", true),
            (slots, "auth: [pages], allow_anonymous: true, runs: registered", false),
            ("\(billing), \(directory)", "auth: [users]", true),
            ("\(billing), \(directory)", "auth: [users], runs: registered", false),
            ("\(billing), \(directory), send_runs: false", "auth: [users]", false),
            ("\(billing), store: local", "auth: [users]", false),
            ("type: concurrency, limit: 1, store: local", "auth: [users]", false),
        ] as [(String, String, Bool)])
    func runs(quota: String, tenant: String, isWarned: Bool) throws {
        let found = try told(
            """
            version: 1
            stores: { local: { type: memory }, shared: { type: redis, url: "redis://127.0.0.1:1" } }
            auth:
              users: { type: jwt, secret: { env: SECRET } }
              pages: { type: embed_token, store: local, tokens: [{ token: emb_shop, workflow: 1 }] }
            quotas: { seats: { type: concurrency, limit: 1, store: local }, q: { \(quota) } }
            pipelines: { echo: { type: echo } }
            tenants: { t: { match: any, quotas: [seats, q, q], pipeline: echo, store: local, \(tenant) } }
            """)
        let reason = "to 'q' that is one which others know by its number: write `runs: registered`"
        let expected = isWarned ? ["tenants.t.quotas[1]: a caller may name any run, and \(reason)"] : []
        #expect(found.filter { $0.contains("runs: registered") } == expected, "\(found)")
    }

    @Test("stores start first, and all stop in reverse")
    func order() async throws {
        let found = try await rehearse("shelf: { type: touchy }", "door: { type: touchy, store: shelf }")
        #expect(found == [])
        #expect(noted == ["shelf starts", "door starts", "door stops", "shelf stops"])
    }

    @Test("every instance that cannot is told, with its place; one without its store is not tried")
    func failures() async throws {
        let found = try await rehearse(
            "shelf: { type: touchy, mood: away }, other: { type: touchy }",
            "door: { type: touchy, store: shelf }, gate: { type: touchy, store: other, mood: away }")
        #expect(
            found == [
                "2: stores.shelf could not start: nobody is there",
                "3: auth.door not tried: stores.shelf could not start",
                "3: auth.gate could not start: nobody is there",
            ])
        // What failed is told to let go, too.
        #expect(
            noted == [
                "other starts", "shelf starts", "shelf stops", "gate starts", "gate stops", "other stops",
            ])
    }

    @Test("one that neither starts nor gives up is left behind when its time is over")
    func hangs() async throws {
        let began = ContinuousClock.now
        let found = try await rehearse(
            "shelf: { type: touchy }", "door: { type: touchy, mood: hangs }, gate: { type: touchy }")
        #expect(found == ["3: auth.door could not start: it was not done within 200ms"])
        #expect(noted == ["shelf starts", "door starts", "door stops", "gate starts", "gate stops", "shelf stops"])
        #expect(ContinuousClock.now - began < .seconds(30))
    }

    @Test("one that starts, but is of no use, is told; what needs it is tried all the same")
    func lonely() async throws {
        let found = try await rehearse(
            "shelf: { type: touchy, mood: lonely }", "door: { type: touchy, store: shelf, mood: lonely }")
        #expect(
            found == [
                "2: stores.shelf starts, and is of no use: nobody is there",
                "3: auth.door starts, and is of no use: nobody is there",
            ])
        #expect(noted == ["shelf starts", "door starts", "door stops", "shelf stops"])
    }

    @Test("so is one that does not stop")
    func clings() async throws {
        let found = try await rehearse("shelf: { type: touchy, mood: clings }", "door: { type: touchy }")
        #expect(found == ["2: stores.shelf could not stop: it was not done within 200ms"])
    }
}

@Suite("A store for tests")
struct ScratchStoreTests {
    @Test("reads what the other has, and writes nothing into it")
    func overlay() async throws {
        let base = FaultyStore()
        try await base.set("old", [1], timeToLive: nil)
        _ = try await base.lease("seats", member: "x", limit: 2, timeToLive: .seconds(60))
        let store = ScratchStore(over: base)
        #expect(try await store.get("old") == [1])
        #expect(try await store.get("none") == nil)
        #expect(try await !store.add("old", [2], timeToLive: nil))
        #expect(try await store.add("new", [2], timeToLive: nil))
        #expect(try await !store.add("new", [3], timeToLive: nil))
        await store.set("old", [4], timeToLive: nil)
        #expect(try await store.take("old") == [4])
        #expect(try await store.take("old") == nil)
        #expect(try await store.get("old") == nil)
        #expect(try await store.add("old", [5], timeToLive: nil))
        #expect(await store.increment("uses", limit: 1) == 1)
        #expect(await store.increment("uses", limit: 1) == nil)
        #expect(await store.counter("uses") == 1)
        let minutes = await store.share("minutes", member: "a", .draw(upTo: 5, limit: 3), timeToLive: .seconds(60))
        #expect(minutes == (3, 3))
        #expect(try await store.lease("seats", member: "y", limit: 2, timeToLive: .seconds(60)))
        #expect(try await store.lease("seats", member: "y", limit: 2, timeToLive: .seconds(60)))
        #expect(try await !store.lease("seats", member: "z", limit: 2, timeToLive: .seconds(60)))
        #expect(try await store.count("seats") == 2)
        await store.release("seats", member: "y")
        #expect(try await store.count("seats") == 1)

        #expect(try await base.get("old") == [1])
        #expect(try await base.get("new") == nil)
        #expect(try await base.increment("uses", limit: 1) == 1)
        #expect(try await base.counter("uses") == 1)
        let look = CounterShare.Change.draw(upTo: 0, limit: 0)
        #expect(try await base.share("minutes", member: "a", look, timeToLive: .seconds(60)) == (0, 0))
        #expect(try await base.count("seats") == 1)
    }

    @Test("lists the keys of both, but for those that were taken")
    func keys() async throws {
        let base = FaultyStore()
        for key in ["a:1", "a:2", "a:3", "b:1"] { try await base.set(key, [1], timeToLive: nil) }
        let store = ScratchStore(over: base)
        #expect(try await store.keys(startingWith: "a:", limit: .max).sorted() == ["a:1", "a:2", "a:3"])
        _ = try await store.take("a:1")
        await store.set("a:2", [2], timeToLive: nil)
        await store.set("a:4", [2], timeToLive: nil)
        await store.set("b:2", [2], timeToLive: nil)
        #expect(try await store.keys(startingWith: "a:", limit: 9).sorted() == ["a:2", "a:3", "a:4"])
        #expect(try await store.keys(startingWith: "a:", limit: 3).count == 3)
        #expect(try await store.keys(startingWith: "a:", limit: 2).count == 2)
    }
}
