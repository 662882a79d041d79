import Signaling
import Testing

@testable import PatchbayKit

@Suite("Where the script of embed pages is served")
struct EmbedScriptRouteTests {
    private func answer(
        _ path: String, _ method: String = "GET", _ headers: [String: String] = [:]
    ) async throws -> Response {
        var request = TestRouter.request(path)
        (request.method, request.headers) = (method, headers)
        return await (try TestRouter()).router.respond(to: request)
    }

    @Test("below a tenant whose pages can start sessions, for any page", arguments: ["GET", "HEAD"])
    func served(method: String) async throws {
        let response = try await answer("/page/embed/patchbay.js", method, ["origin": "https://anybody.example"])
        #expect(response.status == 200)
        #expect(response.body == EmbedScript.text)
        #expect(
            response.headers == [
                "content-type": "text/javascript; charset=utf-8", "x-content-type-options": "nosniff",
                "cache-control": "public, max-age=300", "etag": EmbedScript.entityTag,
                "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin",
            ])
    }

    @Test(
        "and nowhere else",
        arguments: ["/embed/patchbay.js", "/page/embed", "/page/embed/patchbay.js/x", "/page/embed/other.js"])
    func elsewhere(path: String) async throws {
        #expect(try await answer(path).status == 404)
    }

    @Test(
        "a browser that has it gets nothing but that it is the same",
        arguments: [
            (EmbedScript.entityTag, 304), ("W/\(EmbedScript.entityTag)", 304), ("\"x\", \(EmbedScript.entityTag)", 304),
            ("\"x\"", 200), ("", 200),
        ])
    func cached(tag: String, status: Int) async throws {
        let response = try await answer("/page/embed/patchbay.js", "GET", ["if-none-match": tag])
        #expect(response.status == status)
        #expect(response.body.isEmpty == (status == 304))
        #expect(response.headers["etag"] == EmbedScript.entityTag)
    }

    @Test("is read only", arguments: ["POST", "PUT", "DELETE", "OPTIONS"])
    func method(name: String) async throws {
        let response = try await answer("/page/embed/patchbay.js", name)
        #expect(response.status == 405 && response.headers["allow"] == "GET, HEAD")
    }
}
