import PatchbayConfig
import PatchbayPlugin
import Signaling
import Testing

@testable import PatchbayKit

@Suite("Whether the gateway is there")
struct HealthTests {
    @Test(
        "is told with the address that the request came to",
        arguments: [
            ("/api/v1/health", nil, "http://localhost"), ("/r/api/v1/health", nil, "http://localhost/r"),
            // From somebody who is no proxy of ours.
            ("/api/v1/health", "https", "http://localhost"),
        ] as [(String, String?, String)])
    func address(path: String, scheme: String?, endpoint: String) async throws {
        var request = TestRouter.request(path)
        request.headers["x-forwarded-proto"] = scheme
        let response = await (try TestRouter()).router.respond(to: request)
        #expect(response.status == 200)
        let body = try JSONValue(parsing: response.body)
        #expect(body["backend_api_endpoint"] == .string(endpoint))
        #expect(body["status"] == "ok")
    }

    @Test("a proxy of ours is believed when it says https")
    func proxy() throws {
        var request = TestRouter.request("/api/v1/health", address: "10.0.0.1")
        request.headers["x-forwarded-proto"] = "https"
        let proxies = [try #require(AddressRange.decode("10.0.0.0/8"))]
        #expect(request.seen(through: proxies).headers["x-forwarded-proto"] == "https")
        #expect(request.seen(through: []).headers["x-forwarded-proto"] == nil)
    }
}
