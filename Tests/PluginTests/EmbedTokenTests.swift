import Logging
import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import EmbedTokenAuth

@Suite("Embed tokens in the configuration and the store")
struct EmbedTokenTests {
    @Test("a token in the store is good at once, changes at once, and goes at once")
    func stored() async throws {
        let page = try EmbedFixture(tokens: "[]")
        #expect(try await page.post(token: "emb_new").status == 404)
        try await page.save("emb_new", #"{"workflow":5,"owner":"u1","settings":{"theme":"dark"}}"#)
        let json = try await page.post(token: "emb_new").json
        #expect(json["config"] == ["workflow_id": 5, "workflow_run_id": 1, "theme": "dark"])
        let session = try #require(json["session_token"]?.string)
        #expect(try await page.connect(session).principal?.id == "u1")
        try await page.save("emb_new", #"{"workflow":5,"owner":"u1","active":false}"#)
        #expect(try await page.post(token: "emb_new").status == 403)
        #expect(try await page.connect(session).denial?.message == "Embed token is inactive")
        try await page.remove("emb_new")
        #expect(try await page.post(token: "emb_new").status == 404)
        #expect(try await page.connect(session).denial?.message == "Invalid embed token")
    }

    @Test("the configuration wins over the store")
    func precedence() async throws {
        let page = try EmbedFixture()
        try await page.save("emb_demo", #"{"workflow":8,"owner":"u1"}"#)
        try await page.save("emb_off", #"{"workflow":8,"owner":"u1"}"#)
        #expect(try await page.post(token: "emb_demo").json["config"]?["workflow_id"] == 7)
        #expect(try await page.post(token: "emb_off").status == 403)
    }

    @Test(
        "a token in the store that is not as it should be opens nothing",
        arguments: [
            "", "x", "[]", "{}", #"{"workflow":"7"}"#, #"{"workflow":7,"active":"false"}"#,
            #"{"workflow":7,"expires":"soon"}"#, #"{"workflow":7,"expires":1800000000}"#,
            #"{"workflow":7,"usage_limit":"7"}"#, #"{"workflow":7,"usage_limit":1.5}"#,
            #"{"workflow":7,"allowed_domains":"example.com"}"#, #"{"workflow":7,"allowed_domains":[7]}"#,
            #"{"workflow":7,"settings":[]}"#, #"{"workflow":7,"owner":7}"#, #"{"workflow":7,"organization":{}}"#,
            #"{"workflow":7,"instance":"another"}"#, #"{"workflow":7,"instance":null}"#,
        ])
    func damaged(json: String) async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_odd", json)
        #expect(try await page.post(token: "emb_odd").status == 404)
        #expect(try await page.isUntouched("emb_odd"))
    }

    @Test(
        "absent and null members have their defaults, and a null among the domains allows nothing",
        arguments: [
            (#"{"workflow":7}"#, 200),
            (#"{"workflow":7,"allowed_domains":null,"active":null,"settings":null,"usage_limit":null}"#, 200),
            (#"{"workflow":7,"allowed_domains":[null]}"#, 403),
            (#"{"workflow":7,"allowed_domains":[null,"","  EXAMPLE.COM "]}"#, 200),
            (#"{"workflow":7,"usage_limit":0}"#, 403), (#"{"workflow":7,"usage_limit":-1}"#, 403),
            (#"{"workflow":7,"instance":"embed_token"}"#, 200),
        ])
    func defaults(json: String, status: Int) async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_a", json)
        #expect(try await page.post(token: "emb_a").status == status)
    }

    @Test("mints tokens of 43 characters, never twice the same, and writes none down unasked")
    func minting() async throws {
        let page = try EmbedFixture()
        var tokens: Set<String> = []
        for _ in 0..<100 {
            let token = try await page.auth.mint(TokenRequest(lifetime: .zero))
            #expect(token.wholeMatch(of: /emb_[A-Za-z0-9_-]{43}/) != nil)
            tokens.insert(token)
        }
        #expect(tokens.count == 100)
        #expect(await page.store.keys.isEmpty)
        let request = TokenRequest(workflowID: 5, lifetime: .zero)
        #expect(page.auth.instructions(for: "emb_x", request)?.contains("{ token: emb_x, workflow: 5, ") == true)
        #expect(page.auth.instructions(for: "emb_x", TokenRequest(lifetime: .zero, isSaved: true)) == nil)
    }

    @Test("a saved token is good at once, for what was asked")
    func saving() async throws {
        let page = try EmbedFixture()
        let token = try await page.auth.mint(
            TokenRequest(
                user: "u1", organization: "acme", workflowID: 5, lifetime: .zero, isSaved: true,
                allowedDomains: ["example.com"], usageLimit: 1, expiresAfter: .seconds(60)))
        #expect(await page.store.keys == ["embed_token:token:\(token)"])
        #expect(try await page.post(token: token, headers: ["origin": "https://evil.example"]).status == 403)
        let principal = try await page.connect(try await page.session(token: token)).principal
        #expect(principal?.id == "u1" && principal?.organization == "acme" && principal?.workflowID == 5)
        #expect(try await page.post(token: token).json["detail"] == "Embed token usage limit exceeded")
        page.clock.advance(by: .seconds(60))
        #expect(try await page.post(token: token).json["detail"] == "Embed token has expired")
    }

    @Test("a saved token is good in the instance that made it, not in another that shares the store")
    func instances() async throws {
        let page = try EmbedFixture()
        var context = PluginContext(
            name: "other", logger: .init(label: "t") { _ in SwiftLogNoOpLogHandler() }, stores: ["local": page.store],
            wallClock: { page.clock.now })
        var settings = EmbedTokenAuth.Settings()
        settings.store = StoreReference("local")
        let other = try EmbedTokenAuth(settings: settings, context: context)
        let token = try await other.mint(TokenRequest(user: "u1", workflowID: 5, lifetime: .zero, isSaved: true))
        #expect(try await page.post(token: token).status == 404)
        #expect(try await page.post(token: token, to: other).status == 200)
        context.name = "embed_token"
        #expect(
            try await page.post(token: token, to: EmbedTokenAuth(settings: settings, context: context)).status == 404)
    }

    @Test("instances that share a store count the uses of their own tokens, though these have one name")
    func uses() async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_a, workflow: 7, usage_limit: 1 }]")
        var token = EmbedToken()
        (token.token, token.workflow, token.usageLimit) = ("emb_a", 7, 1)
        var settings = EmbedTokenAuth.Settings()
        (settings.store, settings.tokens) = (StoreReference("local"), [token])
        let other = try EmbedTokenAuth(
            settings: settings,
            context: PluginContext(
                name: "other", logger: .init(label: "t") { _ in SwiftLogNoOpLogHandler() },
                stores: ["local": page.store], wallClock: { page.clock.now }))
        for auth in [page.auth, other] {
            #expect(try await page.post(token: "emb_a", to: auth).status == 200)
            #expect(try await page.post(token: "emb_a", to: auth).status == 403)
        }
    }

    @Test(
        "a token without a workflow or a user is not saved",
        arguments: [
            (nil, 5, "--user"), ("", 5, "--user"), ("u1", nil, "--workflow"), ("u1", -1, "--workflow"),
        ] as [(String?, Int?, String)])
    func unsavable(user: String?, workflow: Int?, option: String) async throws {
        let page = try EmbedFixture()
        let error = await #expect(throws: SettingsFault.self) {
            try await page.auth.mint(
                TokenRequest(user: user, workflowID: workflow, lifetime: .zero, isSaved: true))
        }
        #expect(error?.description.contains(option) == true)
        #expect(await page.store.keys.isEmpty)
    }

    @Test(
        "refuses settings that cannot work",
        arguments: [
            "[{ token: emb_a, workflow: 1 }, { token: emb_a, workflow: 2 }]", "[{ token: '', workflow: 1 }]",
            "[{ token: 'emb a', workflow: 1 }]", "[{ token: emb/a, workflow: 1 }]", "[{ token: émb, workflow: 1 }]",
            "[{ token: \(String(repeating: "x", count: 257)), workflow: 1 }]",
            "[{ token: emb_a, workflow: 1, settings: { widgetType: chat } }]",
        ])
    func settings(tokens: String) throws {
        let error = #expect(throws: SettingsFault.self) { try EmbedFixture(tokens: tokens) }
        #expect(error?.field == "tokens")
    }

    @Test(
        "refuses values that cannot be",
        arguments: ["usage_limit: 0", "usage_limit: many", "expires: soon", "expires: 2027-02-30", "workflow: -1"])
    func values(setting: String) throws {
        #expect(throws: (any Error).self) { try EmbedFixture(tokens: "[{ token: emb_a, workflow: 1, \(setting) }]") }
    }
}
