import PatchbayConfig
import PatchbayPlugin
import Signaling
import TestSupport
import Testing

@testable import PatchbayKit

@Suite("Pages of other hosts")
struct OriginTests {
    /// A router with a tenant below `/house` that says these `origins`, or none.
    private func router(_ origins: String?) throws -> TestRouter {
        let origins = origins.map { ", origins: \($0)" } ?? ""
        return try TestRouter(
            more: """
                house: { match: { path: /house }, auth: [users, embeds], allow_anonymous: true, pipeline: echo, \
                store: runs\(origins) }
                """)
    }

    /// Whom a page at an origin may have call: one with a token, one with none.
    typealias Row = (origins: String?, page: String?, known: Bool, unknown: Bool)

    private static let (own, other, listed) = ("http://gateway.example", "https://evil.example", "https://app.example")

    @Test(
        "may call as the tenant's `origins` says; unless it is set, with a credential",
        arguments: [
            (nil, nil, true, true), (nil, own, true, true), (nil, "https://gateway.example:8443", true, true),
            (nil, other, true, false), (nil, "null", true, false), (nil, "", true, false),
            ("any", nil, true, true), ("any", other, true, true), ("any", "null", true, true),
            ("[app.example]", nil, true, true), ("[app.example]", own, true, true),
            ("[app.example]", listed, true, true), ("[app.example]", other, false, false),
            ("[app.example]", "null", false, false), ("[\"*\"]", other, true, true),
            ("[]", own, true, true), ("[]", other, false, false), ("[]", nil, true, true),
        ] as [Row])
    func matrix(row: Row) async throws {
        let test = try router(row.origins)
        for (isKnown, isLetIn) in [(true, row.known), (false, row.unknown)] {
            let token = isKnown ? try await test.token("7") : nil
            var socket = TestRouter.request("/house/api/v1/ws/signaling/33/501", token: token)
            socket.host = "gateway.example"
            socket.headers["origin"] = row.page
            #expect(await test.status(socket) == (isLetIn ? 101 : 403, ""))

            var turn = TestRouter.request("/house/api/v1/turn/credentials")
            turn.host = "gateway.example"
            turn.headers["origin"] = row.page
            turn.headers["authorization"] = token.map { "Bearer \($0)" }
            let response = await test.router.respond(to: turn)
            // Whom nobody knows gets none anyway, and there is no server.
            #expect(response.status == (row.known ? isKnown ? 503 : 401 : 403))
            #expect(response.headers["access-control-allow-origin"] == row.page)
        }
    }

    @Test("embed pages are their token's to allow, whatever `origins` says", arguments: [nil, "[]", "[app.example]"])
    func embedPages(origins: String?) async throws {
        let test = try router(origins)
        var start = TestRouter.request("/house/api/v1/public/embed/init")
        (start.method, start.body) = ("POST", Array(#"{"token":"emb_demo"}"#.utf8))
        start.headers["origin"] = Self.other
        let session = try JSONValue(parsing: await test.router.respond(to: start).body)["session_token"]?.string
        var socket = TestRouter.request(
            "/house/api/v1/ws/public/signaling/\(Leaks.secret("a session token", try #require(session)))")
        socket.headers["origin"] = Self.other
        #expect(await test.status(socket) == (101, ""))
    }

    @Test("what is no origin is a fault", arguments: ["[\"*.\"]", "[a.com, \"https//x\"]", "all", "{ a: b }"])
    func faults(origins: String) {
        #expect(throws: Faults.self) { try router(origins) }
    }
}
