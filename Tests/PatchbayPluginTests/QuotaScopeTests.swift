import PatchbayPlugin
import Testing

@Suite("Who shares a quota")
struct QuotaScopeTests {
    private func request(
        _ user: String = "7", door: String? = "users", tenant: String = "acme", token: String? = nil, call: String = "1"
    ) -> CallRequest {
        var principal = Principal(id: user, organization: "9", runOwner: token.map(RunOwner.embedToken))
        principal.authInstance = door
        return CallRequest(callID: call, tenant: tenant, principal: principal, workflowID: 1, workflowRunID: 1)
    }

    @Test("all callers of a tenant, under the name that the tenant has", arguments: ["7", "8"])
    func tenant(user: String) {
        #expect(QuotaScope.tenant.holder(of: request(user)) == "acme")
    }

    @Test("a user is one whom one auth instance of one tenant knows by one id, whatever he calls")
    func user() {
        let holder = QuotaScope.user.holder(of: request())
        #expect(QuotaScope.user.holder(of: request(call: "2")) == holder)
        let others = [
            request("8"), request(door: "embeds"), request(door: nil), request(tenant: "other"), request("users/7"),
        ]
        let holders = others.map { QuotaScope.user.holder(of: $0) }
        #expect(Set(holders + [holder]).count == 6 && !holders.contains(nil))
    }

    @Test("a token's visitors share it, and nobody else is concerned")
    func embedToken() {
        let holder = QuotaScope.embedToken.holder(of: request(token: "emb_a"))
        #expect(holder != nil)
        #expect(QuotaScope.embedToken.holder(of: request("8", token: "emb_a")) == holder)
        #expect(QuotaScope.embedToken.holder(of: request(token: "emb_b")) != holder)
        #expect(QuotaScope.embedToken.holder(of: request(tenant: "other", token: "emb_a")) != holder)
        #expect(QuotaScope.embedToken.holder(of: request()) == nil)
    }

    @Test("the instance is one, for all")
    func instance() {
        let holders = [request(), request("8"), request(tenant: "other"), request(token: "emb_a")].map {
            QuotaScope.instance.holder(of: $0)
        }
        #expect(holders.first != .some(nil) && Set(holders).count == 1)
    }
}
