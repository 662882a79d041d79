import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Embed routes and CORS")
struct EmbedCORSTests {
    @Test(
        "a path that is none, and a method that a path has not",
        arguments: [
            ("GET", "", 404, nil), ("POST", "init/", 404, nil), ("POST", "init/x", 404, nil),
            ("POST", "Init", 404, nil),
            ("GET", "config", 404, nil), ("GET", "config/", 404, nil), ("GET", "config/emb_demo/x", 404, nil),
            ("GET", "turn-credentials/", 404, nil), ("GET", "chat", 404, nil), ("GET", "chat/s/other", 404, nil),
            ("GET", "chat//messages", 404, nil), ("GET", "chat/s/messages/x", 404, nil), ("GET", "x/y", 404, nil),
            ("OPTIONS", "x/y", 404, nil), ("GET", "/config/emb_demo", 404, nil),
            ("GET", "init", 405, "POST, OPTIONS"), ("HEAD", "init", 405, "POST, OPTIONS"),
            ("PUT", "init", 405, "POST, OPTIONS"), ("POST", "config/emb_demo", 405, "GET, OPTIONS"),
            ("DELETE", "turn-credentials/s", 405, "GET, OPTIONS"), ("POST", "chat/s", 405, "GET, OPTIONS"),
            ("GET", "chat/s/messages", 405, "POST, OPTIONS"), ("GET", "chat/s/end", 405, "POST, OPTIONS"),
            ("get", "config/emb_demo", 405, "GET, OPTIONS"),
        ])
    func routes(method: String, path: String, status: Int, allow: String?) async throws {
        let page = try EmbedFixture()
        let response = try await page.send(method, path, body: #"{"token":"emb_demo"}"#)
        #expect(response.status == status)
        #expect(try response.json == ["detail": status == 404 ? "Not Found" : "Method Not Allowed"])
        #expect(response.headers["allow"] == allow)
        #expect(response.headers["access-control-allow-origin"] == EmbedFixture.page)
        #expect(response.headers["vary"] == "Origin")
        #expect(try await page.isUntouched("emb_demo"))
    }

    @Test(
        "the page can read every answer, and nobody gets CORS headers who sent no origin",
        arguments: [
            ("POST", "init", #"{"token":"emb_demo"}"#), ("POST", "init", #"{"token":"emb_nobody"}"#),
            ("POST", "init", "{"), ("GET", "config/emb_demo", ""), ("GET", "config/emb_off", ""),
            ("GET", "turn-credentials/s", ""), ("GET", "chat/s", ""), ("GET", "nothing", ""),
        ])
    func readable(method: String, path: String, body: String) async throws {
        let page = try EmbedFixture()
        let response = try await page.send(method, path, body: body, headers: ["origin": EmbedFixture.page])
        #expect(response.headers["access-control-allow-origin"] == EmbedFixture.page)
        #expect(response.headers["vary"] == "Origin")
        #expect(response.headers["access-control-allow-credentials"] == nil)
        let quiet = try await page.send(method, path, body: body, headers: ["referer": EmbedFixture.page])
        #expect(quiet.status == response.status)
        #expect(quiet.headers["access-control-allow-origin"] == nil)
    }

    /// A preflight; the session in the path is `S`, or `L` when it has expired by then.
    struct Row: Sendable {
        var path: String
        var method: String? = "GET"
        var origin: String? = EmbedFixture.page
        var status = 200
        /// Access-Control-Allow-Methods; nil where there are no CORS headers.
        var methods: String?
    }

    private static let (start, read, talk) = ("POST, OPTIONS", "GET, OPTIONS", "GET, POST, OPTIONS")
    private static let evil = "https://evil.example"

    @Test(
        "a preflight is answered by path, method and origin",
        arguments: [
            Row(path: "init", method: "POST", methods: start),
            Row(path: "init", method: "POST", origin: evil, methods: start),
            Row(path: "init", method: "GET", status: 405),
            Row(path: "init", method: "PUT", status: 405),
            Row(path: "init", method: "post", status: 405),
            Row(path: "config/emb_demo", methods: read),
            Row(path: "config/emb_old", methods: read),
            Row(path: "config/emb_demo", method: "POST", status: 405),
            Row(path: "config/emb_demo", origin: evil, status: 403),
            Row(path: "config/emb_nobody", status: 403),
            Row(path: "config/emb_off", status: 403),
            Row(path: "turn-credentials/S", methods: read),
            Row(path: "turn-credentials/S", method: "POST", status: 405),
            Row(path: "turn-credentials/S", origin: evil, status: 403),
            Row(path: "turn-credentials/unknown", origin: evil, methods: read),
            Row(path: "turn-credentials/L", origin: evil, methods: read),
            Row(path: "chat/S", methods: talk),
            Row(path: "chat/S/messages", method: "POST", methods: talk),
            Row(path: "chat/S/end", method: "POST", methods: talk),
            Row(path: "chat/S", method: "DELETE", status: 405),
            Row(path: "chat/S/messages", method: "POST", origin: evil, status: 403),
            Row(path: "chat/unknown", origin: evil, methods: talk),
            Row(path: "chat/L", origin: evil, methods: talk),
        ])
    func preflight(row: Row) async throws {
        let (page, before, response) = try await options(row)
        #expect(response.status == row.status)
        #expect(response.headers["access-control-allow-origin"] == row.methods.map { _ in row.origin ?? "" })
        #expect(response.headers["access-control-allow-methods"] == row.methods)
        #expect(response.headers["access-control-allow-headers"] == row.methods.map { _ in "Content-Type, Origin" })
        #expect(response.headers["access-control-max-age"] == row.methods.map { _ in "86400" })
        #expect(response.headers["vary"] == row.methods.map { _ in "Origin" })
        #expect(await page.store.keys == before)
    }

    @Test(
        "any other OPTIONS is answered as if it were one",
        arguments: [
            (Row(path: "init", method: nil, origin: nil, methods: start), "*"),
            (Row(path: "init", method: "POST", origin: nil, methods: start), "*"),
            (Row(path: "init", method: "PUT", origin: nil, status: 405), nil),
            (Row(path: "init", method: nil, origin: evil, methods: start), evil),
            (Row(path: "config/emb_demo", method: nil, methods: read), EmbedFixture.page),
            (Row(path: "config/emb_demo", method: nil, origin: evil, status: 403), evil),
            (Row(path: "config/emb_demo", method: nil, origin: nil, status: 403), nil),
            (Row(path: "turn-credentials/S", method: nil, origin: nil, status: 403), nil),
            (Row(path: "turn-credentials/unknown", method: nil, origin: nil, methods: read), nil),
            (Row(path: "chat/S/end", method: nil, methods: talk), EmbedFixture.page),
        ] as [(Row, String?)])
    func otherOptions(row: Row, allowOrigin: String?) async throws {
        let (page, before, response) = try await options(row)
        #expect(response.status == row.status)
        #expect(response.headers["access-control-allow-origin"] == allowOrigin)
        #expect(response.headers["access-control-allow-methods"] == row.methods)
        #expect(await page.store.keys == before)
    }

    private func options(_ row: Row) async throws -> (EmbedFixture, keys: [String], RouteResponse) {
        let page = try EmbedFixture()
        let late = try await page.session()
        page.clock.advance(by: .seconds(3_600))
        let session = try await page.session()
        let path = row.path.split(separator: "/").map { $0 == "S" ? session : $0 == "L" ? late : String($0) }
        var headers: [String: String] = [:]
        headers["origin"] = row.origin
        headers["access-control-request-method"] = row.method
        let before = await page.store.keys
        let response = try await page.send("OPTIONS", path.joined(separator: "/"), headers: headers)
        return (page, before, response)
    }
}
