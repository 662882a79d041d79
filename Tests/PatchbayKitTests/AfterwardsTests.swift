import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import PatchbayConfig
@testable import PatchbayKit

@Suite("What a store is told when nobody waits for it any more", .timeLimit(.minutes(1)))
struct AfterwardsTests {
    private let environment = CallSupervisor.Environment.test(media: NoMedia())
    private let store = MemoryStore()

    private func admit(_ call: String, _ tenant: Tenant) async throws -> Admission {
        var request = testRequest
        request.callID = call
        return try await Admission(request, pcID: call, tenant: tenant, environment: environment)
    }

    @Test("a run that may have been taken for a refused call is free for the next one")
    func uncertainClaim() async throws {
        let quota = GateQuota<AtNewCall>()
        let tenant = Tenant.test(
            quotas: [Tenant.Quota(name: "gate", plugin: quota, admitsWhenUnavailable: false)], store: store)
        // The last question before the run is claimed.
        quota.onAsk { [store] in await store.fail(with: CallerError("no answer"), carryingOut: true) }
        await #expect(throws: Refusal.denied(.runActive)) { _ = try await admit("first", tenant) }
        quota.onAsk {}
        await store.fail(with: nil)
        #expect(await eventually { (try? await admit("second", tenant)) != nil })
    }

    @Test("an end that the store does not take keeps the store running, whatever is reloaded, until it has taken it")
    func endOutlivesReload() async throws {
        var tenant: Tenant? = .test(store: store)
        let fingerprint = Fingerprint(nil, outside: [] as [SettingsReader.Outside])
        var instance: LiveInstance? = LiveInstance(
            kind: .store, name: "shared", plugin: store, fingerprint: fingerprint, stores: [])
        weak let running = instance
        tenant?.instances = [try #require(instance)]
        instance = nil
        var admission: Admission? = try await admit("first", try #require(tenant))
        await store.fail(with: CallerError("away"))
        await admission?.release(usage: CallUsage(duration: .seconds(1)), runEnds: true)
        (admission, tenant) = (nil, nil)
        #expect(running != nil)
        await store.fail(with: nil)
        #expect(await eventually { running == nil })
        await #expect(throws: Refusal.denied(.runCompleted)) { _ = try await admit("second", .test(store: store)) }
    }
}
