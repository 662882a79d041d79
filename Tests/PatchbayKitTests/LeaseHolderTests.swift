import Logging
import PatchbayPlugin
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("Admission by several quotas")
struct LeaseHolderTests {
    private let environment = CallSupervisor.Environment.test(media: NoMedia())

    private func admit(_ quotas: [Tenant.Quota]) async throws(Refusal) -> LeaseHolder {
        var holder = LeaseHolder()
        try await holder.admit(testRequest, quotas, environment)
        return holder
    }

    @Test("what the first gave is given back when the second denies")
    func denialGivesBack() async {
        let first = CountingQuota()
        await #expect(throws: Refusal.denied(Denial(code: "full", message: "Full"))) {
            _ = try await admit([.test(first), .test(CountingQuota(.denies))])
        }
        #expect(first.tally == CountingQuota.Tally(admitted: 1, renewed: 0, released: 1))
        #expect(environment.registry.leases.load(ordering: .relaxed) == 0)
    }

    @Test("a quota that cannot tell refuses, unless its instance says allow")
    func unavailable() async throws {
        let failing = CountingQuota(.fails)
        await #expect(throws: Refusal.denied(.quotaUnknown)) { _ = try await admit([.test(failing)]) }
        let holder = try await admit([.test(failing, admitsWhenUnavailable: true)])
        #expect(holder.metadata.isEmpty)
        #expect(environment.registry.leases.load(ordering: .relaxed) == 0)
    }

    @Test("asking again for a live call takes no second lease, and passes a denial on")
    func recheck() async throws {
        let quota = CountingQuota()
        let holder = try await admit([.test(quota)])
        try await holder.recheck(testRequest, [.test(quota)], isOver: { false }, logger: environment.logger)
        #expect(environment.registry.leases.load(ordering: .relaxed) == 1)
        #expect(quota.tally.released == 0)
    }

    @Test("what is admitted again after the call's end is given back at once")
    func recheckAfterTheEnd() async throws {
        let quota = CountingQuota()
        let holder = try await admit([.test(quota)])
        await holder.release(usage: CallUsage(duration: .zero), environment)
        try await holder.recheck(testRequest, [.test(quota)], isOver: { true }, logger: environment.logger)
        #expect(quota.tally == CountingQuota.Tally(admitted: 2, renewed: 0, released: 2))
    }
}
