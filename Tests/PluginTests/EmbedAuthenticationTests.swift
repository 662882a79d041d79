import EmbedTokenAuth
import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Embed sessions at the socket")
struct EmbedAuthenticationTests {
    @Test("a session says who calls what")
    func accept() async throws {
        let page = try EmbedFixture()
        let session = try await page.session(context: #"{"name":"Ada","provider":"x","a.b":1}"#)
        #expect(
            try await page.connect(session).principal
                == Principal(
                    id: "emb_demo", runOwner: .embedToken("emb_demo"), workflowID: 7, workflowRunID: 1,
                    contextVariables: ["name": "Ada", "provider": "smallwebrtc", "direction": "inbound"],
                    mayAddContext: false, isVisitor: true, hasOneSocket: true,
                    expires: page.clock.now + .seconds(3_600)))
    }

    @Test("a call runs as the token's owner, in its organisation", arguments: [true, false])
    func owner(stored: Bool) async throws {
        let token = "{ token: emb_own, workflow: 3, owner: u1, organization: acme }"
        let page = try EmbedFixture(tokens: stored ? "[]" : "[\(token)]")
        if stored { try await page.save("emb_own", #"{"workflow":3,"owner":"u1","organization":"acme"}"#) }
        let principal = try await page.connect(try await page.session(token: "emb_own")).principal
        #expect(principal?.id == "u1" && principal?.organization == "acme" && principal?.workflowID == 3)
        #expect(principal?.runOwner == .embedToken("emb_own"))
    }

    /// What happens to a session before its socket opens.
    enum Change: Sendable {
        case unknown(String), otherTenant, minutesLater(Int), token(String?), noRun, textRun, otherRun, origin(String)
    }

    private static let whole = #"{"workflow":7,"owner":"u1","allowed_domains":["example.com"]}"#

    @Test(
        "is refused row by row, the first row that is true",
        arguments: [
            ([.unknown("")], "Invalid session token"),
            ([.unknown("emb_stored")], "Invalid session token"),
            ([.unknown("emb_session_")], "Invalid session token"),
            ([.unknown(String(repeating: "x", count: 9_000))], "Invalid session token"),
            ([.otherTenant, .minutesLater(60)], "Invalid session token"),
            ([.minutesLater(120), .token(nil)], "Invalid session token"),
            ([.minutesLater(60), .token(nil)], "Session expired"),
            ([.token(nil), .noRun], "Invalid embed token"),
            ([.token(#"{"workflow":7,"owner":"u1","active":false}"#), .noRun], "Embed token is inactive"),
            ([.token(#"{"workflow":7,"owner":"u1","expires":"2027-01-15T08:00:00Z"}"#)], "Embed token has expired"),
            ([.token(#"{"workflow":8,"owner":"u1"}"#), .noRun], "Invalid workflow run"),
            ([.token(#"{"workflow":8,"owner":"u1"}"#), .textRun], "workflow_run_workflow_mismatch"),
            ([.otherRun, .origin("")], "workflow_run_workflow_mismatch"),
            ([.textRun, .origin("")], "Not a voice session"),
            ([.origin("https://evil.example")], "Domain not allowed"),
            ([.origin("")], "Domain not allowed"),
            ([.token(#"{"workflow":7,"allowed_domains":["example.com"]}"#), .noRun], "Invalid embed token"),
            ([.origin("https://www.example.com")], "Another page started the session"),
            (
                [.token(#"{"workflow":7,"owner":"u1"}"#), .origin("http://example.com")],
                "Another page started the session"
            ),
            ([.token(#"{"workflow":7,"owner":null}"#)], "Invalid embed token"),
            ([.minutesLater(59)], nil),
            ([], nil),
        ] as [([Change], String?)])
    func rows(changes: [Change], reason: String?) async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_stored", Self.whole)
        var session = try await page.session(token: "emb_stored")
        var (tenant, origin) = ("default", EmbedFixture.page)
        let run = WorkflowRun(id: 1, owner: .embedToken("emb_stored"), workflowID: 7)
        func replace(_ change: (inout WorkflowRun) -> Void) async throws {
            _ = try await page.store.take("run:default:\(run.owner):1")
            var run = run
            change(&run)
            #expect(try await page.runs().add(run))
        }
        for change in changes {
            switch change {
            case .unknown(let token): session = token
            case .otherTenant: tenant = "other"
            case .minutesLater(let minutes): page.clock.advance(by: .seconds(minutes * 60))
            case .token(let json?): try await page.save("emb_stored", json)
            case .token(nil): try await page.remove("emb_stored")
            case .noRun: #expect(try await page.store.take("run:default:\(run.owner):1") != nil)
            case .textRun: try await replace { $0.mode = .text }
            case .otherRun: try await replace { $0.workflowID = 9 }
            case .origin(let changed): origin = changed
            }
        }
        let before = await page.store.keys
        let outcome = try await page.connect(session, origin: origin, tenant: tenant)
        #expect(outcome.denial?.message == reason)
        #expect((outcome.principal != nil) == (reason == nil))
        #expect(await page.store.keys == before)
    }

    @Test("passes where there is no session token")
    func passes() async throws {
        let page = try EmbedFixture()
        var request = ConnectRequest(tenant: "default", runs: page.runs())
        request.bearerToken = "emb_demo"
        #expect(try await page.auth.authenticate(request).isPass)
    }

    @Test("a session can connect again until it expires")
    func again() async throws {
        let page = try EmbedFixture()
        let session = try await page.session()
        page.clock.advance(by: .seconds(3_599))
        for _ in 0..<2 { #expect(try await page.connect(session).principal != nil) }
        page.clock.advance(by: .seconds(1))
        #expect(try await page.connect(session).denial?.message == "Session expired")
    }

    @Test("a session that has expired lets its page back to its live call, and to no other")
    func liveCall() async throws {
        let page = try EmbedFixture()
        let (session, other) = (try await page.session(), try await page.session())
        let owner = RunOwner.embedToken("emb_demo")
        page.clock.advance(by: .seconds(3_600))
        #expect(try await page.runs().claim(1, owner: owner, callID: "call"))
        #expect(try await page.connect(session).principal?.workflowRunID == 1)
        #expect(try await page.connect(other).denial?.message == "Session expired")
        #expect(try await page.connect(session, tenant: "other").denial != nil)
        try await page.runs().release(1, owner: owner, callID: "call")
        #expect(try await page.connect(session).denial?.message == "Session expired")
    }

    @Test("keeps no session token in the store, but who started it, in bounded length")
    func record() async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_open, workflow: 7 }]")
        let origin = "https://" + String(repeating: "o", count: 300)
        let response = try await page.post(
            token: "emb_open", headers: ["origin": origin, "user-agent": String(repeating: "é", count: 600)],
            address: "2001:db8::7")
        let token = try #require(try response.json["session_token"]?.string)
        let session = try #require(try await page.sessions.first)
        #expect(session["client_ip"] == "2001:db8::7")
        #expect(session["user_agent"] == .string(String(repeating: "é", count: 500)))
        #expect(session["origin"] == .string(String(origin.prefix(255))))
        for key in await page.store.keys {
            #expect(!key.contains(token))
            let value = try #require(try await page.store.get(key))
            #expect(!String(decoding: value, as: UTF8.self).contains(token))
        }
    }

    @Test("a store that fails is an error, and no refusal")
    func storeFailure() async throws {
        let page = try EmbedFixture()
        let session = try await page.session()
        await page.store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await page.connect(session) }
    }
}
