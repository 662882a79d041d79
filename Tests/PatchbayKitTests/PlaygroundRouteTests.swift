import Signaling
import Testing

@testable import PatchbayKit

@Suite("Where the playground is served")
struct PlaygroundRouteTests {
    @Test("to a tenant with a token for it, whose pages can start sessions, with that tenant's token")
    func served() async throws {
        let response = await (try TestRouter()).router.respond(to: TestRouter.request("/page"))
        #expect(response.status == 200 && response.body == Playground.page(token: "emb_demo"))
    }

    @Test(
        "and to no other: one without a token, below its path",
        arguments: ["/", "/door", "/page/x"])
    func elsewhere(path: String) async throws {
        #expect(await (try TestRouter()).router.respond(to: TestRouter.request(path)).status == 404)
    }
}
