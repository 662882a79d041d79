import ConcurrencyQuota
import PatchbayPlugin
import PatchbayTesting
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

    @Test("says how much callers use whom nobody knows, by the name that they are counted under")
    func anonymous() async throws {
        let quota = try ConcurrencyQuota.configured("{ limit: 3, per: user }")
        let tenant = Tenant.test(quotas: [
            Tenant.Quota(name: "seats", plugin: quota, admitsWhenUnavailable: false)
        ])
        var open = tenant
        open.allowsAnonymous = true
        guard
            case .accept(let principal) = try await open.authenticate(
                ConnectRequest(tenant: "default", runs: tenant.runs))
        else {
            Issue.record("nobody was let in")
            return
        }
        let call = CallRequest(callID: "1", tenant: "default", principal: principal, workflowID: 1, workflowRunID: 2)
        _ = try await quota.admit(call)
        let page = AdminPage(environment: .test(media: NoMedia()), host: "127.0.0.1", tenant: { _ in tenant }) {
            .needsRestart([])
        }
        var request = TestRouter.request("/quotas")
        request.query = ["tenant": "default"]
        let answer = try JSONValue(parsing: await page.respond(to: request).body)
        guard case .array(let quotas)? = answer["quotas"] else {
            Issue.record("\(answer)")
            return
        }
        #expect(quotas.map { $0["used"] } == [1])
        #expect(quotas.map { $0["left"] } == [2])
    }
}
