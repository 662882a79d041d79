import EmbedTokenAuth
import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Embed tokens")
struct EmbedTokenAuthTests {
    private static let initPath = "/api/v1/public/embed/init"

    private let clock = TestClock()
    private let store: MemoryStore
    private let auth: EmbedTokenAuth

    init() throws {
        store = MemoryStore(clock: clock)
        auth = try Self.auth(store: store, clock: clock)
    }

    @Test("a page gets a session for its token")
    func start() async throws {
        let response = try await post(#"{"token":"emb_demo","context_variables":{"customer-name":"Ada"}}"#)
        #expect(response.status == 200)
        #expect(response.headers["content-type"] == "application/json")
        let json = try parse(response)
        #expect(json["workflow_run_id"] == 1)
        #expect(json["config"] == ["workflow_id": 7, "workflow_run_id": 1, "theme": "dark"])
        #expect(json["widget_type"] == "voice")
        #expect(json["chat_session"] == .null)
        #expect(json.object?.count == 5)
        let token = try #require(json["session_token"]?.string)
        #expect(token.wholeMatch(of: /emb_session_[A-Za-z0-9_-]{43}/) != nil)
        #expect(try parse(try await post(#"{"token":"emb_demo"}"#))["workflow_run_id"] == 2)
    }

    @Test("a session says who calls what")
    func authenticate() async throws {
        let session = try await session(
            #"{"token":"emb_demo","context_variables":{"name":"Ada","provider":"x","a.b":1}}"#)
        let principal = try await auth.authenticate(connect(session)).principal
        #expect(
            principal
                == Principal(
                    id: "emb_demo", workflowID: 7, workflowRunID: 1,
                    contextVariables: ["name": "Ada", "provider": "smallwebrtc", "direction": "inbound"],
                    mayAddContext: false))
    }

    @Test("a session can connect again until it expires, and is then told so")
    func expiry() async throws {
        let session = try await session(#"{"token":"emb_demo"}"#)
        clock.advance(by: .seconds(3_599))
        for _ in 0..<2 { #expect(try await auth.authenticate(connect(session)).principal != nil) }
        clock.advance(by: .seconds(1))
        #expect(try await auth.authenticate(connect(session)).denial?.message == "Session expired")
        clock.advance(by: .seconds(3_600))
        #expect(try await auth.authenticate(connect(session)).denial?.message == "Invalid session token")
    }

    @Test("passes where there is no session token")
    func passes() async throws {
        var request = ConnectRequest(tenant: "default")
        request.bearerToken = "emb_demo"
        #expect(try await auth.authenticate(request).isPass)
    }

    @Test(
        "refuses sessions it never made",
        arguments: ["", "emb_demo", "emb_session_", String(repeating: "x", count: 9_000)])
    func unknownSession(session: String) async throws {
        #expect(try await auth.authenticate(connect(session)).denial?.message == "Invalid session token")
    }

    @Test("refuses the session of another tenant")
    func otherTenant() async throws {
        var request = connect(try await session(#"{"token":"emb_demo"}"#))
        request.tenant = "other"
        #expect(try await auth.authenticate(request).denial?.message == "Invalid session token")
    }

    @Test("refuses a session from another page, and from none")
    func otherOrigin() async throws {
        var request = connect(try await session(#"{"token":"emb_demo"}"#))
        for origin in ["https://evil.example", ""] {
            request.origin = origin
            #expect(try await auth.authenticate(request).denial?.message == "Domain not allowed")
        }
    }

    @Test(
        "refuses a session whose token has changed since",
        arguments: [
            ("[]", "Invalid embed token"),
            ("[{ token: emb_demo, workflow: 7, active: false }]", "Embed token is inactive"),
            ("[{ token: emb_demo, workflow: 8 }]", "workflow_run_workflow_mismatch"),
        ])
    func changedToken(tokens: String, reason: String) async throws {
        let session = try await session(#"{"token":"emb_demo"}"#)
        let changed = try EmbedTokenAuth.configured(
            "{ store: local, tokens: \(tokens) }", stores: ["local": store], clock: clock)
        #expect(try await changed.authenticate(connect(session)).denial?.message == reason)
    }

    @Test("keeps no session token in the store")
    func digest() async throws {
        let session = try await session(#"{"token":"emb_demo"}"#)
        let key = try #require(await store.keys.first)
        #expect(key.wholeMatch(of: /embed_token:session:[0-9a-f]{64}/) != nil)
        let value = try #require(try await store.get(key))
        #expect(!String(decoding: value, as: UTF8.self).contains(session))
    }

    @Test(
        "refuses to start, in words the page can show",
        arguments: [
            ("emb_nobody", "https://example.com", 404, "Invalid embed token"),
            ("emb_off", "https://example.com", 403, "Embed token is inactive"),
            ("emb_demo", "https://evil.example", 403, "Domain not allowed: https://evil.example"),
            ("emb_demo", nil, 403, "Domain not allowed: "),
        ])
    func refusals(token: String, origin: String?, status: Int, detail: String) async throws {
        let response = try await post(#"{"token":"\#(token)"}"#, headers: origin.map { ["origin": $0] } ?? [:])
        #expect(response.status == status)
        #expect(try parse(response) == ["detail": .string(detail)])
        #expect(response.headers["access-control-allow-origin"] == origin)
        #expect(await store.keys.isEmpty)
    }

    @Test("takes the referring page where a browser sends no origin")
    func referer() async throws {
        let response = try await post(#"{"token":"emb_demo"}"#, headers: ["referer": "https://example.com/page"])
        #expect(response.status == 200)
        #expect(response.headers["access-control-allow-origin"] == nil)
    }

    @Test(
        "answers 422 to what has the wrong shape, and says where",
        arguments: [
            ("", "json_invalid", ["body"]), ("{", "json_invalid", ["body"]), ("[]", "dict_type", ["body"]),
            ("{}", "missing", ["body", "token"]), (#"{"token":7}"#, "string_type", ["body", "token"]),
            (#"{"token":"emb_demo","context_variables":[]}"#, "dict_type", ["body", "context_variables"]),
            (#"{"token":"emb_demo","context_variables":"x"}"#, "dict_type", ["body", "context_variables"]),
        ] as [(String, String, [JSONValue])])
    func shape(body: String, kind: String, place: [JSONValue]) async throws {
        let response = try await post(body)
        #expect(response.status == 422)
        guard case .array(let faults) = try parse(response)["detail"], let fault = faults.first else {
            Issue.record("no list of faults")
            return
        }
        #expect(fault["type"] == .string(kind))
        #expect(fault["loc"] == .array(place))
    }

    @Test("lets the page read success and failure alike")
    func readable() async throws {
        for body in [#"{"token":"emb_demo"}"#, #"{"token":"emb_nobody"}"#, "{"] {
            let response = try await post(body)
            #expect(response.headers["access-control-allow-origin"] == "https://example.com")
            #expect(response.headers["vary"] == "Origin")
        }
    }

    @Test(
        "answers a preflight from any page, and only for POST",
        arguments: [
            ("https://evil.example", "POST", 200), ("https://example.com", "GET", 405), (nil, nil, 200),
            (nil, "PUT", 405),
        ])
    func preflight(origin: String?, method: String?, status: Int) async throws {
        var headers: [String: String] = [:]
        headers["origin"] = origin
        headers["access-control-request-method"] = method
        let response = try await call(.options, RouteRequest(tenant: "default", headers: headers))
        #expect(response.status == status)
        #expect(response.headers["access-control-allow-origin"] == origin ?? "*")
        #expect(response.headers["access-control-allow-methods"] == "POST, OPTIONS")
        #expect(response.headers["access-control-allow-headers"] == "Content-Type, Origin")
        #expect(response.headers["access-control-max-age"] == "86400")
        #expect(response.headers["vary"] == "Origin")
    }

    @Test("when the store fails, starting is a 500 without its reasons, and connecting throws")
    func storeFailure() async throws {
        let session = try await session(#"{"token":"emb_demo"}"#)
        await store.fail(with: Unreachable())
        let response = try await post(#"{"token":"emb_demo"}"#)
        #expect(response.status == 500)
        #expect(try parse(response) == ["detail": "Failed to create workflow run"])
        await #expect(throws: Unreachable.self) { try await auth.authenticate(connect(session)) }
    }

    @Test("mints tokens of 43 characters, never twice the same")
    func minting() async throws {
        var tokens: Set<String> = []
        for _ in 0..<100 {
            let token = try await auth.mint(TokenRequest(lifetime: .zero))
            #expect(token.wholeMatch(of: /emb_[A-Za-z0-9_-]{43}/) != nil)
            tokens.insert(token)
        }
        #expect(tokens.count == 100)
    }

    @Test(
        "refuses settings that cannot work",
        arguments: [
            "[{ token: emb_a, workflow: 1 }, { token: emb_a, workflow: 2 }]", "[{ token: '', workflow: 1 }]",
            "[{ token: emb_a, workflow: 1, settings: { widgetType: chat } }]",
        ])
    func settings(tokens: String) throws {
        let error = #expect(throws: SettingsFault.self) {
            try EmbedTokenAuth.configured("{ store: local, tokens: \(tokens) }", stores: ["local": store])
        }
        #expect(error?.field == "tokens")
    }

    private static func auth(store: MemoryStore, clock: TestClock) throws -> EmbedTokenAuth {
        let yaml = """
            store: local
            tokens:
              - { token: emb_demo, workflow: 7, allowed_domains: [example.com], settings: { theme: dark } }
              - { token: emb_off, workflow: 7, active: false }
            """
        return try EmbedTokenAuth.configured(yaml, stores: ["local": store], clock: clock)
    }

    private func call(_ method: Route.Method, _ request: RouteRequest) async throws -> RouteResponse {
        let route = try #require(auth.routes.first { $0.method == method && $0.path == Self.initPath })
        return try #require(try await route.handler(request))
    }

    private func post(_ body: String, headers: [String: String] = ["origin": "https://example.com"]) async throws
        -> RouteResponse
    {
        try await call(.post, RouteRequest(tenant: "default", headers: headers, body: Array(body.utf8)))
    }

    private func session(_ body: String) async throws -> String {
        try #require(try parse(try await post(body))["session_token"]?.string)
    }

    private func parse(_ response: RouteResponse) throws -> JSONValue {
        try JSONValue(parsing: response.body)
    }

    private func connect(_ session: String) -> ConnectRequest {
        var request = ConnectRequest(tenant: "default")
        request.sessionToken = session
        request.origin = "https://example.com"
        return request
    }
}

private struct Unreachable: Error {}
