import PatchbayPlugin
import PatchbayTesting
import Synchronization
import Testing

@Suite("Embed session routes")
struct EmbedSessionRouteTests {
    private static let stored = #"{"workflow":7,"owner":"u1","allowed_domains":["example.com"]}"#
    private static let inactive = #"{"workflow":7,"owner":"u1","allowed_domains":["example.com"],"active":false}"#

    private static func issuer(
        _ asked: AskedFor = AskedFor()
    ) -> @Sendable (String, Duration?) throws -> TURNCredentials {
        { id, lifetime in
            asked.list.withLock { $0.append((id, lifetime)) }
            return TURNCredentials(
                username: "9:\(id)", password: "password-of-a-caller", timeToLive: 60, uris: ["turn:t:3478"])
        }
    }

    @Test("TURN credentials are good for the rest of the session, under a name of its own", arguments: ["GET", "HEAD"])
    func credentials(method: String) async throws {
        let page = try EmbedFixture()
        let (session, other) = (try await page.session(), try await page.session())
        page.clock.advance(by: .seconds(1_000))
        let asked = AskedFor()
        var names: [String] = []
        for session in [session, session, other] {
            let response = try await page.send(
                method, "turn-credentials/\(session)", turn: TURNAccess(issuer: Self.issuer(asked)))
            #expect(response.status == 200)
            #expect(response.headers["access-control-allow-origin"] == EmbedFixture.page)
            let (name, lifetime) = try #require(asked.list.withLock { $0.last })
            #expect(lifetime == .seconds(2_600))
            #expect(name.wholeMatch(of: /embed:[A-Za-z0-9_-]{16}/) != nil)
            #expect(!session.contains(name.dropFirst(6)))
            #expect(
                try response.json
                    == [
                        "username": .string("9:\(name)"), "password": "password-of-a-caller", "ttl": 60,
                        "uris": ["turn:t:3478"],
                    ])
            names.append(name)
        }
        // The server's limit for one user is then one for the session.
        #expect(names[0] == names[1] && names[0] != names[2])
    }

    @Test("a session gets TURN credentials five times at once, then every ten minutes, at no other's cost")
    func limit() async throws {
        let page = try EmbedFixture()
        let (session, other) = (try await page.session(), try await page.session())
        func status(_ session: String, turn: TURNAccess = TURNAccess(issuer: Self.issuer())) async throws -> Int {
            try await page.send("GET", "turn-credentials/\(session)", turn: turn).status
        }
        // Those that there are none of are not counted.
        for _ in 0..<9 { #expect(try await status(session, turn: TURNAccess()) == 503) }
        for _ in 0..<5 { #expect(try await status(session) == 200) }
        let refused = try await page.send("GET", "turn-credentials/\(session)", turn: TURNAccess(issuer: Self.issuer()))
        #expect(refused.status == 429)
        #expect(try refused.json == ["detail": "Too many TURN credentials. Please try again shortly"])
        #expect(refused.headers["access-control-allow-origin"] == EmbedFixture.page)
        #expect(try await status(other) == 200)
        page.clock.advance(by: .seconds(600))
        #expect(try await status(session) == 200)
        #expect(try await status(session) == 429)
    }

    @Test("a call that outlives its session gets TURN credentials for 5 min, and no longer than its token is good")
    func liveCall() async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_demo, workflow: 7, expires: 2027-01-15T09:10:00Z }]")
        let session = try await page.session()
        page.clock.advance(by: .seconds(3_600))
        let owner = RunOwner.embedToken("emb_demo")
        let asked = AskedFor()
        for lifetime in [Duration.seconds(300), .seconds(100)] {
            #expect(try await page.runs().claim(1, owner: owner, callID: "call"))
            let response = try await page.send(
                "GET", "turn-credentials/\(session)", turn: TURNAccess(issuer: Self.issuer(asked)))
            #expect(response.status == 200)
            #expect(asked.list.withLock { $0.last?.1 } == lifetime)
            page.clock.advance(by: .seconds(500))
        }
    }

    /// What the session token is, and what happened since it was made.
    struct Row: Sendable {
        var session: String?
        var tenant = "default"
        var token: String? = EmbedSessionRouteTests.stored
        var minutes = 0
        var origin: String? = EmbedFixture.page
        var run: WorkflowRun.Mode? = .voice
        var status: Int
        var detail: String
    }

    private static let rows = [
        Row(session: "emb_session_x", status: 404, detail: "Invalid session token"),
        Row(session: "emb_stored", status: 404, detail: "Invalid session token"),
        Row(tenant: "other", status: 404, detail: "Invalid session token"),
        Row(token: nil, minutes: 60, status: 404, detail: "Invalid embed token"),
        Row(token: inactive, minutes: 60, status: 403, detail: "Session expired"),
        Row(token: inactive, origin: nil, status: 403, detail: "Embed token is inactive"),
        Row(origin: nil, run: nil, status: 403, detail: "Domain not allowed: "),
        Row(origin: "https://e.vil", run: nil, status: 403, detail: "Domain not allowed: https://e.vil"),
    ]

    @Test(
        "TURN credentials are refused row by row",
        arguments: rows + [Row(status: 503, detail: "TURN server not configured")])
    func turnRows(row: Row) async throws {
        try await check(row, "GET", { "turn-credentials/\($0)" }, turn: TURNAccess())
        if row.status != 503 {
            let asked = AskedFor()
            try await check(
                row, "GET", { "turn-credentials/\($0)" }, turn: TURNAccess(issuer: Self.issuer(asked)))
            #expect(asked.list.withLock { $0.isEmpty })
        }
    }

    @Test("credentials that cannot be made are a 500 without the reason")
    func turnFailure() async throws {
        let row = Row(status: 500, detail: "Failed to generate TURN credentials")
        try await check(
            row, "GET", { "turn-credentials/\($0)" }, turn: TURNAccess(issuer: { _, _ in throw Unreachable() }))
    }

    @Test(
        "chat is refused row by row",
        arguments: rows + [
            Row(run: nil, status: 404, detail: "Chat session not found"),
            Row(run: .voice, status: 400, detail: "Not a chat session"),
            Row(run: .text, status: 501, detail: "Chat is not served here"),
        ], [("GET", ""), ("HEAD", ""), ("POST", "/messages"), ("POST", "/end")])
    func chatRows(row: Row, route: (method: String, end: String)) async throws {
        try await check(row, route.method, { "chat/\($0)\(route.end)" }, turn: TURNAccess())
    }

    private func check(
        _ row: Row, _ method: String, _ path: (String) -> String, turn: TURNAccess
    ) async throws {
        let page = try EmbedFixture(tokens: "[]")
        try await page.save("emb_stored", Self.stored)
        let session = try await page.session(token: "emb_stored")
        if let token = row.token {
            try await page.save("emb_stored", token)
        } else {
            try await page.remove("emb_stored")
        }
        if row.run != .voice {
            let owner = RunOwner.embedToken("emb_stored")
            #expect(try await page.store.take("run:default:\(owner):1") != nil)
            if let mode = row.run {
                #expect(try await page.runs().add(WorkflowRun(id: 1, owner: owner, workflowID: 7, mode: mode)))
            }
        }
        page.clock.advance(by: .seconds(row.minutes * 60))
        let before = await page.store.keys
        let response = try await page.send(
            method, path(row.session ?? session), headers: row.origin.map { ["origin": $0] } ?? [:],
            tenant: row.tenant, turn: turn)
        #expect(response.status == row.status)
        #expect(try response.json == ["detail": .string(row.detail)])
        #expect(response.headers["access-control-allow-origin"] == row.origin)
        #expect(await page.store.keys == before)
    }
}

/// What credentials were asked for.
final class AskedFor: Sendable {
    let list = Mutex<[(id: String, lifetime: Duration?)]>([])
}
