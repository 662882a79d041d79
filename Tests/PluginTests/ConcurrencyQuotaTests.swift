import ConcurrencyQuota
import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Concurrency quota")
struct ConcurrencyQuotaTests {
    @Test("of two racers for the last seat one wins, a thousand times over", arguments: [false, true])
    func races(inStore: Bool) async throws {
        let quota = try quota(limit: 1, store: inStore ? MemoryStore() : nil)
        for trial in 0..<1_000 {
            async let first = quota.admit(request("a\(trial)"))
            async let second = quota.admit(request("b\(trial)"))
            let outcomes = try await [first, second]
            #expect(outcomes.count { $0.lease != nil } == 1)
            for outcome in outcomes {
                if let lease = outcome.lease { await quota.release(lease, usage: CallUsage(duration: .zero)) }
            }
        }
    }

    @Test("refuses with a word for programs and a sentence for people", arguments: [false, true])
    func denial(inStore: Bool) async throws {
        let quota = try quota(limit: 1, store: inStore ? MemoryStore() : nil)
        #expect(try await quota.admit(request("one")).lease != nil)
        #expect(
            try await quota.admit(request("two")).denial
                == Denial(code: "concurrency_limit_exceeded", message: "Concurrent call limit reached"))
    }

    @Test("a released seat is free again", arguments: [false, true])
    func release(inStore: Bool) async throws {
        let quota = try quota(limit: 1, store: inStore ? MemoryStore() : nil)
        let lease = try #require(try await quota.admit(request("one")).lease)
        #expect(try await quota.admit(request("two")).lease == nil)
        await quota.release(lease, usage: CallUsage(duration: .seconds(1)))
        #expect(try await quota.admit(request("two")).lease != nil)
    }

    @Test("a call that asks again does not count twice", arguments: [false, true])
    func renegotiation(inStore: Bool) async throws {
        let quota = try quota(limit: 2, store: inStore ? MemoryStore() : nil)
        for _ in 0..<3 { #expect(try await quota.admit(request("one")).lease != nil) }
        #expect(try await quota.admit(request("two")).lease != nil)
        #expect(try await quota.admit(request("one")).lease != nil)
        #expect(try await quota.admit(request("three")).lease == nil)
    }

    @Test("each tenant has its own seats", arguments: [false, true])
    func tenants(inStore: Bool) async throws {
        let quota = try quota(limit: 1, store: inStore ? MemoryStore() : nil)
        let lease = try #require(try await quota.admit(request("one", tenant: "a/b")).lease)
        #expect(try await quota.admit(request("one", tenant: "b")).lease != nil)
        await quota.release(lease, usage: CallUsage(duration: .zero))
        #expect(try await quota.admit(request("two", tenant: "a/b")).lease != nil)
        #expect(try await quota.admit(request("two", tenant: "b")).lease == nil)
    }

    @Test("a limit of 0 admits nobody")
    func closed() async throws {
        #expect(try await quota(limit: 0).admit(request("one")).lease == nil)
    }

    @Test("in a store a seat falls free when nobody renews it, and stays while somebody does")
    func expiry() async throws {
        let clock = TestClock()
        let quota = try quota(limit: 1, store: MemoryStore(clock: clock))
        let lease = try #require(try await quota.admit(request("one")).lease)
        #expect(lease.timeToLive == .seconds(30))
        clock.advance(by: .seconds(29))
        try await quota.renew(lease)
        clock.advance(by: .seconds(29))
        #expect(try await quota.admit(request("two")).lease == nil)
        clock.advance(by: .seconds(1))
        #expect(try await quota.admit(request("two")).lease != nil)
        let error = await #expect(throws: (any Error).self) { try await quota.renew(lease) }
        #expect(error.map { "\($0)" } == "call one of tenant 'acme' lost its seat: the others are all taken")
    }

    @Test("when the store cannot be asked, admitting throws and releasing does not")
    func storeFailure() async throws {
        let store = MemoryStore()
        let quota = try quota(limit: 1, store: store)
        let lease = try #require(try await quota.admit(request("one")).lease)
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await quota.admit(request("two")) }
        await quota.release(lease, usage: CallUsage(duration: .zero))
    }

    private func quota(limit: Int, store: MemoryStore? = nil) throws -> ConcurrencyQuota {
        guard let store else { return try ConcurrencyQuota.configured("limit: \(limit)") }
        return try ConcurrencyQuota.configured("{ limit: \(limit), store: shared }", stores: ["shared": store])
    }

    private func request(_ call: String, tenant: String = "acme") -> CallRequest {
        CallRequest(callID: call, tenant: tenant, principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1)
    }
}

extension QuotaOutcome {
    fileprivate var lease: Lease? {
        if case .admit(let lease) = self { lease } else { nil }
    }

    fileprivate var denial: Denial? {
        if case .deny(let denial) = self { denial } else { nil }
    }
}
