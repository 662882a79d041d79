import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import MyPlugin

@Suite("MyPlugin")
struct MyPluginTests {
    let quota: MyPlugin

    init() throws {
        quota = try MyPlugin.configured("{ limit: 1, longest: 5m }")
    }

    /// What the caller's call holds; nil when it is denied.
    func lease(_ caller: String, call: String) async throws -> Lease? {
        let request = CallRequest(
            callID: call, tenant: "default", principal: Principal(id: caller), workflowID: 1, workflowRunID: 1)
        guard case .admit(let lease) = try await quota.admit(request) else { return nil }
        return lease
    }

    @Test("one caller's calls leave room for another's, and for more when they are over")
    func counts() async throws {
        let first = try #require(try await lease("ada", call: "1"))
        #expect(first.maximumDuration == .seconds(300))
        #expect(try await lease("ada", call: "2") == nil)
        #expect(try await lease("grace", call: "3") != nil)
        await quota.release(first, usage: CallUsage(duration: .seconds(1)))
        #expect(try await lease("ada", call: "2") != nil)
    }

    @Test("a call that asks again counts once")
    func knowsTheCall() async throws {
        let first = try await lease("ada", call: "1")
        #expect(first != nil)
        #expect(try await lease("ada", call: "1") == first)
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(MyPlugin.self)
    }
}
