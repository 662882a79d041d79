import PatchbayPlugin
import PatchbayTesting
import TestSupport
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

    @Test("one whose time is over is warned of at its end, but for one that is switched off")
    func warnings() throws {
        let page = try EmbedFixture(
            tokens: """
                [
                  { token: emb_now, workflow: 7 },
                  { token: emb_old, workflow: 7, expires: 2027-01-15 },
                  { token: emb_off, workflow: 7, expires: 2027-01-15, active: false },
                  { token: emb_new, workflow: 7, expires: 2027-01-16 },
                ]
                """)
        let warnings = page.auth.warnings()
        #expect(warnings.map(\.description) == ["it expired on 2027-01-15: nobody is let in by it any more"])
        #expect(warnings.map(\.field) == ["tokens"])
        #expect(warnings.map(\.place) == [[1, "expires"]])
        page.clock.advance(by: .seconds(86_400))
        #expect(page.auth.warnings().map(\.place) == [[1, "expires"], [3, "expires"]])
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
            "", "x", "[]", "{}", #"{"owner":"u","workflow":"7"}"#, #"{"owner":"u"}"#, #"{"workflow":7}"#,
            #"{"owner":7,"workflow":7}"#, #"{"owner":null,"workflow":7}"#, #"{"owner":"","workflow":7}"#,
            #"{"owner":"u","workflow":7,"active":"false"}"#, #"{"owner":"u","workflow":7,"expires":"soon"}"#,
            #"{"owner":"u","workflow":7,"expires":1800000000}"#, #"{"owner":"u","workflow":7,"usage_limit":"7"}"#,
            #"{"owner":"u","workflow":7,"usage_limit":1.5}"#, #"{"owner":"u","workflow":7,"settings":[]}"#,
            #"{"owner":"u","workflow":7,"allowed_domains":"example.com"}"#,
            #"{"owner":"u","workflow":7,"allowed_domains":[7]}"#, #"{"owner":"u","workflow":7,"organization":{}}"#,
            #"{"owner":"u","workflow":7,"instance":"another"}"#, #"{"owner":"u","workflow":7,"instance":null}"#,
            #"{"owner":"u","workflow":7,"alowed_domains":["x.example"]}"#, #"{"owner":"u","workflow":7,"":null}"#,
            #"{"owner":"u","workflow":7,"Active":false}"#, #"{"owner":"u","workflow":7,"usageLimit":1}"#,
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
            ("", 200), (#","allowed_domains":null,"active":null,"settings":null,"usage_limit":null"#, 200),
            (#","allowed_domains":[null]"#, 403), (#","allowed_domains":[null,"","  EXAMPLE.COM "]"#, 200),
            (#","usage_limit":0"#, 403), (#","usage_limit":-1"#, 403), (#","instance":"embed_token""#, 200),
            (#","token":"emb_a","active":true,"settings":{},"organization":"acme","expires":"2028-01-31""#, 200),
        ])
    func defaults(members: String, status: Int) async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_a", #"{"workflow":7,"owner":"u1"\#(members)}"#)
        #expect(try await page.post(token: "emb_a").status == status)
    }

    @Test("mints tokens of 43 characters, never twice the same, and writes none down unasked")
    func minting() async throws {
        let page = try EmbedFixture()
        var tokens: Set<String> = []
        for _ in 0..<100 {
            let token = try await Leaks.secret("an embed token", page.auth.mint(TokenRequest(lifetime: .zero)))
            #expect(token.wholeMatch(of: /emb_[A-Za-z0-9_-]{43}/) != nil)
            tokens.insert(token)
        }
        #expect(tokens.count == 100)
        #expect(await page.store.keys.isEmpty)
        for request in [TokenRequest(workflowID: -1, lifetime: .zero), TokenRequest(lifetime: .zero, usageLimit: 0)] {
            await #expect(throws: SettingsFault.self) { try await page.auth.mint(request) }
        }
    }

    @Test("the line that it says for the configuration has what was asked for, and pages of this machine otherwise")
    func line() async throws {
        let page = try EmbedFixture()
        func line(_ request: TokenRequest) -> String? {
            page.auth.instructions(for: "emb_x", request)?.split(separator: "\n").last.map { String($0.dropFirst(4)) }
        }
        #expect(
            line(TokenRequest(workflowID: 5, lifetime: .zero))
                == #"{ token: "emb_x", workflow: 5, allowed_domains: ["localhost","127.0.0.1"] }"#)
        let asked = TokenRequest(
            user: "u1", organization: "acme", workflowID: 5, lifetime: .zero, allowedDomains: ["example.com"],
            usageLimit: 1, expiresAfter: .seconds(60))
        let configured = try EmbedFixture(tokens: "[\(try #require(line(asked)))]")
        let evil = ["origin": "https://evil.example"]
        #expect(try await configured.post(token: "emb_x", headers: evil).status == 403)
        let principal = try await configured.connect(try await configured.session(token: "emb_x")).principal
        #expect(principal?.id == "u1" && principal?.organization == "acme" && principal?.workflowID == 5)
        #expect(try await configured.post(token: "emb_x").json["detail"] == "Embed token usage limit exceeded")
        configured.clock.advance(by: .seconds(60))
        #expect(try await configured.post(token: "emb_x").json["detail"] == "Embed token has expired")
    }

    @Test("a token that is revoked is gone from the store, and one that is another instance's or configured is not")
    func revoked() async throws {
        let page = try EmbedFixture()
        let request = TokenRequest(user: "u1", workflowID: 5, lifetime: .zero, isSaved: true)
        let token = try await Leaks.secret("an embed token", page.auth.mint(request))
        #expect(page.auth.instructions(for: token, request) == "saved in store local, good in 'embed_token'")
        let session = try await page.session(token: token)
        #expect(try await page.auth.revoke(token))
        #expect(try await page.connect(session).denial?.message == "Invalid embed token")
        #expect(try await !page.auth.revoke(token))
        try await page.save("emb_theirs", #"{"workflow":5,"owner":"u1","instance":"other"}"#)
        for other in ["emb_theirs", "", "../x"] { #expect(try await !page.auth.revoke(other)) }
        await #expect(throws: SettingsFault.self) { try await page.auth.revoke("emb_demo") }
        #expect(await page.store.keys.contains("embed_token:token:emb_theirs"))
        for own in [#"{"workflow":5,"owner":"u1"}"#, "what is this", #"{"workflow":5,"owner":"u1","instance":7}"#] {
            try await page.save("emb_own", own)
            #expect(try await page.auth.revoke("emb_own"))
        }
    }

    @Test("lists what the configuration and the store have, and its uses, but not what other instances have")
    func listed() async throws {
        let page = try EmbedFixture()
        let request = TokenRequest(
            user: "u1", organization: "acme", workflowID: 5, lifetime: .zero, isSaved: true, usageLimit: 3,
            expiresAfter: .seconds(60))
        let token = try await Leaks.secret("an embed token", page.auth.mint(request))
        try await page.save("emb_quiet", #"{"workflow":6,"owner":"u2","active":false}"#)
        try await page.save("emb_theirs", #"{"workflow":6,"owner":"u2","instance":"other"}"#)
        _ = try await page.session()
        for _ in 0..<2 { _ = try await page.session(token: token) }

        let found = try await page.auth.credentials()
        let configured = found.filter { $0.store == nil }
        #expect(configured.compactMap(\.name) == ["emb_demo", "emb_off", "emb_old", "emb_twice"])
        #expect(configured.compactMap(\.uses) == [1, 0, 0, 0])
        #expect(configured.map { $0.usageLimit ?? 0 } == [0, 0, 0, 2])
        #expect(configured.map(\.isActive) == [true, false, true, true])
        #expect(configured.compactMap(\.workflowID) == [7, 7, 7, 7])
        #expect(configured[2].expires == .seconds(1_799_971_200))

        var minted = KnownCredential(name: token, store: "local")
        minted.user = "u1"
        minted.organization = "acme"
        minted.workflowID = 5
        minted.expires = page.clock.now + .seconds(60)
        minted.uses = 2
        minted.usageLimit = 3
        var quiet = KnownCredential(name: "emb_quiet", store: "local")
        quiet.user = "u2"
        quiet.workflowID = 6
        quiet.isActive = false
        quiet.uses = 0
        #expect(Set(found.filter { $0.store != nil }) == [minted, quiet])
    }

    @Test(
        "lists what cannot be read, too, and what is otherwise than its writer thought",
        arguments: [
            ("emb_a", "", false, "invalid JSON at byte 0 (RFC 8259)"),
            ("emb_a", "[]", false, "'workflow' is not what it should be"),
            ("emb_a", #"{"workflow":7}"#, false, "'owner' is not what it should be"),
            ("emb_a", #"{"workflow":7,"owner":"u","Active":false}"#, false, "unknown key 'Active'"),
            ("emb_a", #"{"workflow":7,"owner":"u","instance":null}"#, false, "'instance' is not what it should be"),
            ("emb a", #"{"workflow":7,"owner":"u"}"#, false, "a token is made of 1 to 256 letters, digits and - . _ ~"),
            ("", #"{"workflow":7,"owner":"u"}"#, false, "a token is made of 1 to 256 letters, digits and - . _ ~"),
            ("emb_demo", #"{"workflow":7,"owner":"u"}"#, true, "the configuration has one of this name, which wins"),
            (
                "emb_a", #"{"workflow":7,"owner":"u","settings":{"widgetType":"chat"}}"#, true,
                "it is for a chat widget, and only voice is served"
            ),
            (
                "emb_a", #"{"workflow":7,"owner":"u","allowed_domains":["a.example","a*"]}"#, true,
                "'a*' is no domain of a page: * stands alone for any host, or as *. before a name, and nowhere else"
            ),
        ])
    func faulty(name: String, json: String, isActive: Bool, fault: String) async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_demo, workflow: 7 }]")
        try await page.save(name, json)
        let found = try await page.auth.credentials().filter { $0.store == "local" }
        #expect(found.compactMap(\.name) == [name])
        #expect(found.first?.fault == fault)
        #expect(found.first?.isActive == isActive)
    }

    @Test("a saved token is good at once, for what was asked")
    func saving() async throws {
        let page = try EmbedFixture()
        let request = TokenRequest(
            user: "u1", organization: "acme", workflowID: 5, lifetime: .zero, isSaved: true,
            allowedDomains: ["example.com"], usageLimit: 1, expiresAfter: .seconds(60))
        let token = try await Leaks.secret("an embed token", page.auth.mint(request))
        let key = "embed_token:token:\(token)"
        #expect(await page.store.keys == [key])
        let written = try JSONValue(parsing: #require(try await page.store.get(key)))
        #expect(written["workflow"] == 5 && written["token"] == nil, "the key has it")
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
            name: "other", logger: .watched, stores: ["local": page.store], wallClock: { page.clock.now })
        var settings = EmbedTokenAuth.Settings()
        settings.store = StoreReference("local")
        let other = try EmbedTokenAuth(settings: settings, context: context)
        let request = TokenRequest(user: "u1", workflowID: 5, lifetime: .zero, isSaved: true)
        let token = try await Leaks.secret("an embed token", other.mint(request))
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
                name: "other", logger: .watched, stores: ["local": page.store], wallClock: { page.clock.now }))
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
        "refuses settings that cannot work, at the entry that is wrong",
        arguments: [
            ("{ token: emb_a, workflow: 2 }", ["token"]), ("{ token: '', workflow: 1 }", ["token"]),
            ("{ token: 'emb a', workflow: 1 }", ["token"]), ("{ token: emb/a, workflow: 1 }", ["token"]),
            ("{ token: émb, workflow: 1 }", ["token"]),
            ("{ token: \(String(repeating: "x", count: 257)), workflow: 1 }", ["token"]),
            ("{ token: emb_b, workflow: 1, settings: { widgetType: chat } }", ["settings", "widgetType"]),
            ("{ token: emb_b, workflow: 1, allowed_domains: [b.example, '**'] }", ["allowed_domains", 1]),
        ] as [(String, [SettingsFault.Step])])
    func settings(token: String, place: [SettingsFault.Step]) throws {
        let tokens = "[{ token: emb_a, workflow: 1 }, \(token), { token: emb_c, workflow: 1 }]"
        let error = #expect(throws: SettingsFault.self) { try EmbedFixture(tokens: tokens) }
        #expect(error?.field == "tokens")
        let whole = [SettingsFault.Step.index(1)] + place
        #expect(error?.place == whole)
    }

    @Test(
        "refuses values that cannot be",
        arguments: ["usage_limit: 0", "usage_limit: many", "expires: soon", "expires: 2027-02-30", "workflow: -1"])
    func values(setting: String) throws {
        #expect(throws: (any Error).self) { try EmbedFixture(tokens: "[{ token: emb_a, workflow: 1, \(setting) }]") }
    }
}
