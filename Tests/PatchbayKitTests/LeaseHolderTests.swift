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

    @Test("asking again for a live call takes no second lease, and passes a denial on, after which no more is asked")
    func recheck() async throws {
        let (gate, quota) = (GateQuota<AtEveryOffer>(), CountingQuota())
        let quotas: [Tenant.Quota] = [
            Tenant.Quota(name: "credits", plugin: gate, admitsWhenUnavailable: false), .test(quota),
        ]
        let holder = try await admit(quotas)
        try await holder.recheck(testRequest, quotas, isOver: { false }, logger: environment.logger)
        #expect(environment.registry.leases.load(ordering: .relaxed) == 2)
        #expect(quota.tally == CountingQuota.Tally(admitted: 2, renewed: 0, released: 0))
        gate.set(.denies)
        let denial = await #expect(throws: Denial.self) {
            try await holder.recheck(testRequest, quotas, isOver: { false }, logger: environment.logger)
        }
        #expect(denial == Denial(code: "quota_exceeded", message: "No credits left"))
        #expect(denial?.quota == "credits")
        // What the call has it keeps.
        #expect(environment.registry.leases.load(ordering: .relaxed) == 2)
        #expect(quota.tally == CountingQuota.Tally(admitted: 2, renewed: 0, released: 0))
        #expect(gate.held == [testRequest.callID])
    }

    @Test("what is admitted again after the call's end is given back at once")
    func recheckAfterTheEnd() async throws {
        let quota = CountingQuota()
        let holder = try await admit([.test(quota)])
        await holder.release(usage: CallUsage(duration: .zero), environment)
        try await holder.recheck(testRequest, [.test(quota)], isOver: { true }, logger: environment.logger)
        #expect(quota.tally == CountingQuota.Tally(admitted: 2, renewed: 0, released: 2))
    }

    @Test("a call that was let in uncounted is counted as soon as its quota can tell, and given back at its end")
    func countedLater() async throws {
        let quota = GateQuota<AtNewCall>()
        quota.set(.cannotTell)
        var holder = LeaseHolder(patience: .milliseconds(5))
        try await holder.admit(
            testRequest, [Tenant.Quota(name: "seats", plugin: quota, admitsWhenUnavailable: true)], environment)
        let keeping = Task { [holder, environment] in await holder.keepAlive(logger: environment.logger) { _ in } }
        for mood in [GateQuota<AtNewCall>.Mood.cannotTell, .denies] {
            quota.set(mood)
            let asked = quota.asked
            #expect(await eventually { quota.asked > asked + 1 })
            #expect(quota.held.isEmpty)
        }
        quota.set(.admits)
        #expect(await eventually { quota.held == [testRequest.callID] })
        #expect(await eventually { environment.registry.leases.load(ordering: .relaxed) == 1 })
        keeping.cancel()
        await keeping.value
        await holder.release(usage: CallUsage(duration: .zero), environment)
        #expect(quota.held.isEmpty)
        #expect(environment.registry.leases.load(ordering: .relaxed) == 0)
    }

    @Test("a call that a quota of every offer let in uncounted is counted too, and once: by itself or by a later offer")
    func countedAtLaterOffer() async throws {
        let quota = GateQuota<AtEveryOffer>()
        let quotas = [Tenant.Quota(name: "minutes", plugin: quota, admitsWhenUnavailable: true)]
        for comesByOffer in [false, true] {
            quota.set(.cannotTell)
            var holder = LeaseHolder(patience: .milliseconds(comesByOffer ? 200 : 5))
            try await holder.admit(testRequest, quotas, environment)
            let recheck = { [holder, environment] (isOver: Bool) in
                try await holder.recheck(testRequest, quotas, isOver: { isOver }, logger: environment.logger)
            }
            let keeping = Task { [holder, environment] in await holder.keepAlive(logger: environment.logger) { _ in } }
            try await recheck(false)
            #expect(quota.held.isEmpty)
            quota.set(.admits)
            if comesByOffer { try await recheck(false) }
            #expect(await eventually { quota.held == [testRequest.callID] })
            // It has its lease, and is not asked any more.
            await keeping.value
            try await recheck(false)
            #expect(quota.held == [testRequest.callID])
            #expect(environment.registry.leases.load(ordering: .relaxed) == 1)
            await holder.release(usage: CallUsage(duration: .zero), environment)
            #expect(environment.registry.leases.load(ordering: .relaxed) == 0)
            try await recheck(true)
            #expect(quota.held.isEmpty)
        }
    }
}
