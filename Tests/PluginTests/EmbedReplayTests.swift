import EmbedTokenAuth
import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("An embed session in other hands, or after its time")
struct EmbedReplayTests {
    private static let open = "[{ token: emb_open, workflow: 7 }]"
    private static let turn = TURNAccess { id, _ in
        TURNCredentials(username: id, password: "password-of-a-caller", timeToLive: 60, uris: ["turn:t:3478"])
    }

    @Test(
        "is good on the page that started it, wherever its token may be used",
        arguments: [
            ("https://example.com", true), ("https://EXAMPLE.com", true), ("https://example.com/shop?item=1", true),
            ("http://example.com", false), ("https://example.com:8443", false), ("https://www.example.com", false),
            ("https://example.com.evil.net", false), ("https://example.com@evil.net", false), ("null", false),
            // A program, which could show any.
            ("", true),
        ])
    func firstPage(origin: String, isGood: Bool) async throws {
        let page = try EmbedFixture(tokens: Self.open)
        let session = try await page.session(token: "emb_open")
        #expect(try await page.connect(session, origin: origin).denial?.code == (isGood ? nil : "origin_changed"))
        let headers = origin.isEmpty ? [:] : ["origin": origin]
        let response = try await page.send("GET", "turn-credentials/\(session)", headers: headers, turn: Self.turn)
        #expect(response.status == (isGood ? 200 : 403))
        if !isGood { #expect(try response.json == ["detail": .string("Domain not allowed: \(origin)")]) }
    }

    @Test("started by a program, is good on the first page that comes", arguments: ["socket", "TURN"])
    func startedElsewhere(first: String) async throws {
        let page = try EmbedFixture(tokens: Self.open)
        let response = try await page.post(token: "emb_open", headers: [:])
        let session = try #require(try response.json["session_token"]?.string)
        func comes(from origin: String, by way: String) async throws -> Bool {
            if way == "socket" { return try await page.connect(session, origin: origin).principal != nil }
            let headers = ["origin": origin]
            return try await page.send("GET", "turn-credentials/\(session)", headers: headers, turn: Self.turn).status
                == 200
        }
        #expect(try await page.connect(session, origin: "").principal != nil)
        #expect(try await comes(from: EmbedFixture.page, by: first))
        for way in ["socket", "TURN"] {
            #expect(try await !comes(from: "https://evil.example", by: way))
            #expect(try await comes(from: EmbedFixture.page, by: way))
        }
        // Another session is another page's.
        #expect(try await page.connect(page.session(token: "emb_open"), origin: EmbedFixture.page).principal != nil)
    }

    @Test("gets no TURN credentials once its call is over; the socket opens, and its offer hears of it")
    func afterItsCall() async throws {
        let page = try EmbedFixture()
        let session = try await page.session()
        func status() async throws -> Int {
            try await page.send("GET", "turn-credentials/\(session)", turn: Self.turn).status
        }
        #expect(try await status() == 200)
        try await page.runs().end(WorkflowRun(id: 1, owner: .embedToken("emb_demo"), workflowID: 7))
        let refused = try await page.send("GET", "turn-credentials/\(session)", turn: Self.turn)
        #expect(refused.status == 403)
        #expect(try refused.json == ["detail": "Session expired"])
        #expect(try await page.connect(session).principal?.workflowRunID == 1)
    }

    @Test("opens one socket at a time, the gateway is told")
    func oneSocket() async throws {
        let page = try EmbedFixture()
        #expect(try await page.connect(page.session()).principal?.hasOneSocket == true)
    }

    @Test(
        "its caller is denied at the next offer when the token was withdrawn after the socket had opened",
        arguments: [
            (#"{"workflow":7,"owner":"u1"}"#, nil), (#"{"workflow":7,"owner":"u1","usage_limit":1}"#, nil),
            (nil, "invalid_embed_token"), (#"{"workflow":7,"owner":"u1","active":false}"#, "embed_token_inactive"),
            (#"{"workflow":7,"owner":"u1","expires":"2027-01-15T08:00:00Z"}"#, "embed_token_expired"),
            (#"{"workflow":7,"owner":"u1","active":"no"}"#, "invalid_embed_token"),
        ] as [(String?, String?)])
    func withdrawn(token: String?, code: String?) async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_stored", #"{"workflow":7,"owner":"u1"}"#)
        let principal = try #require(try await page.connect(page.session(token: "emb_stored")).principal)
        #expect(try await page.auth.recheck(principal) == nil)
        if let token { try await page.save("emb_stored", token) } else { try await page.remove("emb_stored") }
        #expect(try await page.auth.recheck(principal)?.code == code)
    }

    @Test("its caller is denied from the moment the token expires on, and not when only the session has")
    func expires() async throws {
        let page = try EmbedFixture(
            tokens: """
                [
                  { token: emb_short, workflow: 7, expires: 2027-01-15T08:30:00Z },
                  { token: emb_long, workflow: 7 },
                ]
                """)
        let short = try #require(try await page.connect(page.session(token: "emb_short")).principal)
        let long = try #require(try await page.connect(page.session(token: "emb_long")).principal)
        #expect(try await page.auth.recheck(short) == nil)
        page.clock.advance(by: .seconds(3_601))
        #expect(try await page.auth.recheck(short)?.code == "embed_token_expired")
        #expect(try await page.auth.recheck(long) == nil)
    }

    @Test("a store that fails is an error, and no denial")
    func storeFailure() async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_stored", #"{"workflow":7,"owner":"u1"}"#)
        let principal = try #require(try await page.connect(page.session(token: "emb_stored")).principal)
        await page.store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await page.auth.recheck(principal) }
    }
}
