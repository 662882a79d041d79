import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Signaling
import TestSupport
import Testing

@testable import PatchbayKit

@Suite("TURN credentials")
struct TURNServerTests {
    private static let now = Duration.seconds(1_800_000_000)

    private static func server(ttl: Duration = .seconds(3600), secret: String? = "2b7e151628aed2a6abf7158809cf4f3c")
        -> TURNServer?
    {
        var (stun, turn) = (ICEServerSettings(), ICEServerSettings())
        stun.urls = ["stun:stun.example.org"].compactMap(ICEServerURL.decode)
        turn.urls = ["turn:t.example.org:3478", "stun:t.example.org", "turns:t.example.org?transport=tcp"]
            .compactMap(ICEServerURL.decode)
        turn.secret = secret.map { Secret(Leaks.secret("a TURN secret", $0)) }
        turn.ttl = ttl
        return TURNServer([stun, turn])
    }

    /// Passwords made with `printf USERNAME | openssl dgst -sha1 -hmac SECRET -binary | base64`.
    @Test(
        "are what the server computes too",
        arguments: [
            (3600, nil, "7", "1800003600:7", "Jhf19nSwCUWFIxSHwSHk3KhD1WU="),
            (3600, 600, "embed:0123456789abcdef", "1800000600:embed:0123456789abcdef", "LEPGroHwtQEKdSuexjQL7S8BG3k="),
        ] as [(Int, Int?, String, String, String)])
    func vector(ttl: Int, lifetime: Int?, id: String, username: String, password: String) throws {
        let credentials = try #require(Self.server(ttl: .seconds(ttl)))
            .credentials(for: id, lifetime: lifetime.map { .seconds($0) }, now: Self.now)
        #expect(credentials.username == username)
        #expect(credentials.password == password)
        #expect(credentials.uris == ["turn:t.example.org:3478", "turns:t.example.org?transport=tcp"])
    }

    @Test(
        "are good no longer than the server's setting, and no longer than asked",
        arguments: [
            (.seconds(3600), nil, 3600), (.seconds(3600), .seconds(60), 60), (.seconds(60), .seconds(3600), 60),
            (.seconds(86_400), .seconds(Int.max), 86_400), (.seconds(60), .zero, 1), (.seconds(60), .seconds(-5), 1),
            (.seconds(60), .milliseconds(1_999), 1),
        ] as [(Duration, Duration?, Int)])
    func lifetime(ttl: Duration, asked: Duration?, seconds: Int) throws {
        let credentials = try #require(Self.server(ttl: ttl)).credentials(for: "7", lifetime: asked, now: Self.now)
        #expect(credentials.timeToLive == seconds)
        #expect(credentials.username == "\(1_800_000_000 + seconds):7")
    }

    @Test(
        "have a name that no id can break, and that is its own",
        arguments: [
            ("7\n8\r\u{0}9\u{7f}", "789"), ("Ärger🙂 1", "rger 1"), ("\u{202e}x", "x"), ("e\u{301}", "e"),
            (String(repeating: "a", count: 1000), String(repeating: "a", count: 96)),
        ])
    func hostileID(id: String, shown: String) throws {
        let server = try #require(Self.server())
        let names = try [id, id + "ü", id + "ö", shown].map { id in
            try server.credentials(for: id, lifetime: nil, now: Self.now).username
        }
        let name = try #require(names.first)
        #expect(name.wholeMatch(of: /1800003600:(.*)~[0-9a-f]{16}/)?.output.1 == shown[...])
        #expect(name.utf8.allSatisfy { 0x20..<0x7f ~= $0 })
        #expect(Set(names).count == 4)
    }

    @Test("have the id as it is where it fits", arguments: ["", "a:b", String(repeating: "a", count: 128)])
    func fittingID(id: String) throws {
        let credentials = try #require(Self.server()).credentials(for: id, lifetime: nil, now: Self.now)
        #expect(credentials.username == "1800003600:" + id)
    }

    @Test("are made by nobody without a secret")
    func noSecret() {
        #expect(Self.server(secret: nil) == nil)
        #expect(TURNServer([]) == nil)
    }

    private func answer(
        _ request: Request, turn: TURNServer?, by test: TestRouter? = nil
    ) async throws -> (Int, JSONValue, [String: String]) {
        let response = await (try test ?? TestRouter(turn: turn)).router.respond(to: request)
        let body = try JSONValue(parsing: String(decoding: response.body, as: UTF8.self))
        if let password = body["password"]?.string { Leaks.secret("a TURN password", password) }
        return (response.status, body, response.headers)
    }

    private static let path = "/api/v1/turn/credentials"

    @Test("are given to who is signed in, and to no cache")
    func signedIn() async throws {
        let token = try await TestRouter().token("7", "acme")
        var request = TestRouter.request(Self.path)
        request.headers["authorization"] = "Bearer \(token)"
        let (status, body, headers) = try await answer(request, turn: Self.server())
        #expect(status == 200)
        // The token is good for a minute only.
        #expect(
            body == [
                "username": "1800000060:open/users/7", "password": "JBVnMUPay7aTI6ZVym6dq5YLFzE=", "ttl": 60,
                "uris": ["turn:t.example.org:3478", "turns:t.example.org?transport=tcp"],
            ])
        #expect(headers["cache-control"] == "no-store")
    }

    @Test(
        "end with the token, if that is sooner than the server's setting",
        arguments: [(60, 0, 60), (60, 59, 1), (60, 80, 1), (3600, 0, 3600), (7200, 0, 3600), (7200, 3601, 3599)])
    func expiry(lifetime: Int, later: Int, seconds: Int) async throws {
        let test = try TestRouter(turn: Self.server())
        var request = TestRouter.request(Self.path)
        request.headers["authorization"] = "Bearer \(try await test.token("7", lifetime: .seconds(lifetime)))"
        test.clock.advance(by: .seconds(later))
        let (status, body, _) = try await answer(request, turn: nil, by: test)
        #expect((status, body["ttl"]) == (200, .integer(seconds)))
        #expect(body["username"] == .string("\(1_800_000_000 + later + seconds):open/users/7"))
    }

    @Test("are given twenty at once to one caller, then one a second, and to others all the same")
    func limit() async throws {
        let test = try TestRouter(turn: Self.server())
        func status(_ user: String, _ tenant: String = "") async throws -> (Int, JSONValue?) {
            var request = TestRouter.request(tenant + Self.path)
            request.headers["authorization"] = "Bearer \(try await test.token(user))"
            let answer = try await answer(request, turn: nil, by: test)
            return (answer.0, answer.1["detail"])
        }
        for _ in 0..<20 { #expect(try await status("7").0 == 200) }
        #expect(try await status("7") == (429, "Too many TURN credentials. Please try again shortly"))
        #expect(try await status("8").0 == 200)
        #expect(try await status("7", "/r").0 == 200)
        test.clock.advance(by: .seconds(1))
        #expect(try await status("7").0 == 200)
        #expect(try await status("7").0 == 429)
    }

    @Test("that there are none of are not counted")
    func noServer() async throws {
        let test = try TestRouter()
        var request = TestRouter.request(Self.path)
        request.headers["authorization"] = "Bearer \(try await test.token("7"))"
        for _ in 0..<25 { #expect(try await answer(request, turn: nil, by: test).0 == 503) }
    }

    @Test(
        "are refused to everybody else",
        arguments: [
            (nil, true, 401, "Missing authentication token"), ("Bearer x", true, 401, "Invalid or expired token"),
            ("Basic x", true, 401, "Missing authentication token"), (nil, false, 401, "Missing authentication token"),
            ("Bearer %", false, 503, "TURN server not configured"),
        ] as [(String?, Bool, Int, String)])
    func refused(authorization: String?, hasServer: Bool, status: Int, detail: String) async throws {
        let token = try await TestRouter().token("7")
        var request = TestRouter.request(Self.path)
        request.headers["authorization"] = authorization?.replacing("%", with: token)
        let answer = try await answer(request, turn: hasServer ? Self.server() : nil)
        #expect((answer.0, answer.1) == (status, ["detail": .string(detail)]))
    }

    @Test("are refused to a caller whom nobody knows, though calls are not")
    func anonymous() async throws {
        let answer = try await answer(TestRouter.request("/crowd" + Self.path), turn: Self.server())
        #expect((answer.0, answer.1) == (401, ["detail": "Missing authentication token"]))
    }

    @Test("are refused to an API key that nobody knows, in words about the key")
    func key() async throws {
        var request = TestRouter.request(Self.path)
        request.headers["x-api-key"] = "k"
        let answer = try await answer(request, turn: Self.server())
        #expect((answer.0, answer.1) == (401, ["detail": "Invalid or expired API key"]))
    }

    @Test("are not given for a token in the query, which ends up in logs")
    func query() async throws {
        let request = TestRouter.request(Self.path, token: try await TestRouter().token("7"))
        #expect(try await answer(request, turn: Self.server()).0 == 401)
    }
}
