import Signaling
import Testing

@testable import PatchbayKit

@Suite("The admin port")
struct AdminPageTests {
    private func status(_ path: String, _ method: String, host: String) async -> Int {
        let page = AdminPage(environment: .test(media: NoMedia()), host: "Ops.Example", tenant: { _ in nil }) {
            .needsRestart([])
        }
        var request = TestRouter.request(path)
        (request.method, request.host) = (method, host)
        return await page.respond(to: request).status
    }

    @Test(
        "answers who asks for it by an address, or by its own name",
        arguments: ["127.0.0.1:9090", "[::1]:9090", "10.0.0.7", "localhost:9090", "ops.example.:9090", ""])
    func own(host: String) async {
        #expect(await status("/calls", "GET", host: host) == 200)
        #expect(await status("/quotas", "GET", host: host) == 400)
        #expect(await status("/reload", "POST", host: host) == 409)
    }

    @Test("tells a page whose name leads here, too, that it is alive and nothing else")
    func rebound() async {
        #expect(await status("/calls", "GET", host: "page.example:9090") == 421)
        #expect(await status("/quotas", "GET", host: "page.example:9090") == 421)
        #expect(await status("/reload", "POST", host: "page.example:9090") == 421)
        #expect(await status("/livez", "GET", host: "page.example:9090") == 200)
        #expect(await status("/readyz", "GET", host: "page.example:9090") == 200)
    }
}
