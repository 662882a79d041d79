import EmbedTokenAuth
import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Embed init")
struct EmbedStartTests {
    @Test("a page gets a session for its token")
    func start() async throws {
        let page = try EmbedFixture()
        let json = try await page.post(token: "emb_demo").json
        #expect(json["workflow_run_id"] == 1)
        #expect(json["config"] == ["workflow_id": 7, "workflow_run_id": 1, "theme": "dark"])
        #expect(json["widget_type"] == "voice")
        #expect(json["chat_session"] == .null)
        #expect(json.object?.count == 5)
        let token = try #require(json["session_token"]?.string)
        #expect(token.wholeMatch(of: /emb_session_[A-Za-z0-9_-]{43}/) != nil)
        #expect(try await page.post(token: "emb_demo").json["workflow_run_id"] == 2)
    }

    @Test("the run is the token's, and is kept twice as long as the session is good")
    func run() async throws {
        let page = try EmbedFixture()
        _ = try await page.session()
        let run = try await page.runs().find(1, owner: .embedToken("emb_demo"))
        #expect(
            run
                == WorkflowRun(id: 1, owner: .embedToken("emb_demo"), workflowID: 7, timeToLive: .seconds(7_200)))
        page.clock.advance(by: .seconds(7_200))
        #expect(await page.store.keys.isEmpty)
    }

    @Test("a token's settings may override the ids in `config`")
    func override() async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_a, workflow: 7, settings: { workflow_id: 9 } }]")
        #expect(try await page.post(token: "emb_a").json["config"] == ["workflow_id": 9, "workflow_run_id": 1])
    }

    @Test(
        "is refused row by row, and then nothing was started",
        arguments: [
            ("emb_nobody", EmbedFixture.page, 404, "Invalid embed token"),
            ("", EmbedFixture.page, 404, "Invalid embed token"),
            ("emb_demo ", EmbedFixture.page, 404, "Invalid embed token"),
            ("EMB_DEMO", EmbedFixture.page, 404, "Invalid embed token"),
            ("emb_demo\\u0000", EmbedFixture.page, 404, "Invalid embed token"),
            ("emb_off", EmbedFixture.page, 403, "Embed token is inactive"),
            ("emb_off", "https://evil.example", 403, "Embed token is inactive"),
            ("emb_old", EmbedFixture.page, 403, "Embed token has expired"),
            ("emb_old", "https://evil.example", 403, "Embed token has expired"),
            ("emb_demo", "https://evil.example", 403, "Domain not allowed: https://evil.example"),
            ("emb_demo", "null", 403, "Domain not allowed: null"),
            ("emb_demo", nil, 403, "Domain not allowed: "),
            ("emb_chat", "https://evil.example", 403, "Domain not allowed: https://evil.example"),
            ("emb_chat", EmbedFixture.page, 501, "Chat is not served here"),
        ] as [(String, String?, Int, String)])
    func rows(token: String, origin: String?, status: Int, detail: String) async throws {
        let page = try EmbedFixture()
        try await page.save(
            "emb_chat",
            #"{"workflow":7,"owner":"u","allowed_domains":["example.com"],"settings":{"widgetType":"chat"}}"#)
        page.clock.advance(by: .seconds(86_400))
        let response = try await page.post(token: token, headers: origin.map { ["origin": $0] } ?? [:])
        #expect(response.status == status)
        #expect(try response.json == ["detail": .string(detail)])
        #expect(response.headers["access-control-allow-origin"] == origin)
        #expect(try await page.isUntouched("emb_demo", "emb_off", "emb_old", "emb_chat"))
    }

    @Test("a token expires at its time, not before")
    func expiry() async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_old, workflow: 7, expires: 2027-01-15T08:01:00Z }]")
        page.clock.advance(by: .seconds(59))
        #expect(try await page.post(token: "emb_old").status == 200)
        page.clock.advance(by: .seconds(1))
        #expect(try await page.post(token: "emb_old").status == 403)
    }

    @Test("takes the referring page where a browser sends no origin")
    func referer() async throws {
        let page = try EmbedFixture()
        let response = try await page.post(token: "emb_demo", headers: ["referer": "https://example.com/page"])
        #expect(response.status == 200)
        #expect(response.headers["access-control-allow-origin"] == nil)
    }

    @Test(
        "answers 422 to what has the wrong shape, and says where",
        arguments: [
            ("", "json_invalid", ["body"]), ("{", "json_invalid", ["body"]), ("[]", "dict_type", ["body"]),
            (#"{"token":"emb_demo","token":"emb_demo"}"#, "json_invalid", ["body"]),
            (String(repeating: "[", count: 9_000), "json_invalid", ["body"]),
            ("{}", "missing", ["body", "token"]), (#"{"token":7}"#, "string_type", ["body", "token"]),
            (#"{"token":"emb_demo","context_variables":[]}"#, "dict_type", ["body", "context_variables"]),
            (#"{"token":"emb_demo","context_variables":"x"}"#, "dict_type", ["body", "context_variables"]),
        ] as [(String, String, [JSONValue])])
    func shape(body: String, kind: String, place: [JSONValue]) async throws {
        let page = try EmbedFixture()
        let response = try await page.send("POST", "init", body: body)
        #expect(response.status == 422)
        guard case .array(let faults) = try response.json["detail"], let fault = faults.first else {
            Issue.record("no list of faults")
            return
        }
        #expect(fault["type"] == .string(kind))
        #expect(fault["loc"] == .array(place))
        #expect(try await page.isUntouched("emb_demo"))
    }

    @Test(
        "when the store fails, the page learns what failed but not why",
        arguments: [
            ("emb_demo", "", "Failed to create workflow run"),
            ("emb_demo", "run:", "Failed to create workflow run"),
            ("emb_demo", "embed_token:session:", "Failed to create session"),
            ("emb_stored", "", "Internal Server Error"),
        ])
    func storeFailure(token: String, prefix: String, detail: String) async throws {
        let page = try EmbedFixture()
        let auth = try EmbedTokenAuth.watched(
            "{ store: local, tokens: [{ token: emb_demo, workflow: 7 }] }",
            stores: ["local": HalfStore(store: page.store, fails: prefix)], clock: page.clock)
        let route = try #require(auth.routes.first)
        let runs = WorkflowRuns(store: HalfStore(store: page.store, fails: prefix), tenant: "default")
        let request = RouteRequest(
            tenant: "default", method: "POST", parameters: ["path": "init"], headers: ["origin": EmbedFixture.page],
            body: Array(#"{"token":"\#(token)"}"#.utf8), runs: runs)
        let response = try await route.handler(request)
        #expect(response.status == 500)
        #expect(try response.json == ["detail": .string(detail)])
        #expect(response.headers["access-control-allow-origin"] == EmbedFixture.page)
    }
}

/// A store that cannot be asked about keys that begin so.
private struct HalfStore: StorePlugin {
    typealias Settings = MemoryStore.Settings
    static let type = "half"
    static let summary = ""

    let store: MemoryStore
    let prefix: String

    init(store: MemoryStore, fails prefix: String) {
        self.store = store
        self.prefix = prefix
    }

    init(settings: Settings, context: PluginContext) {
        self.init(store: MemoryStore(settings: settings, context: context), fails: "")
    }

    private func check(_ key: String) throws -> MemoryStore {
        if key.hasPrefix(prefix) { throw Unreachable() }
        return store
    }

    func get(_ key: String) async throws -> [UInt8]? { try await check(key).get(key) }
    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        try await check(key).set(key, value, timeToLive: timeToLive)
    }
    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        try await check(key).add(key, value, timeToLive: timeToLive)
    }
    func take(_ key: String) async throws -> [UInt8]? { try await check(key).take(key) }
    func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        try await check(prefix).keys(startingWith: prefix, limit: limit)
    }
    func increment(_ key: String, limit: Int) async throws -> Int? {
        try await check(key).increment(key, limit: limit)
    }
    func counter(_ key: String) async throws -> Int { try await check(key).counter(key) }
    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) {
        try await check(key).share(key, member: member, change, timeToLive: timeToLive)
    }
    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        try await check(set).lease(set, member: member, limit: limit, timeToLive: timeToLive)
    }
    func release(_ set: String, member: String) async throws { try await check(set).release(set, member: member) }
    func count(_ set: String) async throws -> Int { try await check(set).count(set) }
}
