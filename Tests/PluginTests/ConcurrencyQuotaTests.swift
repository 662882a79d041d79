import ConcurrencyQuota
import Foundation
import PatchbayPlugin
import PatchbayTesting
import SQLiteStore
import TestSupport
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

    /// Callers in the order in which they come; the second and the fifth are there already.
    private static let callers = ["ada", "ada", "bob", "page a", "page a", "page b", "ada elsewhere"]

    @Test(
        "each of those has a seat whom `per` names",
        arguments: [
            ("tenant", [true, false, false, false, false, false, true]),
            ("user", [true, false, true, true, false, false, true]),
            ("embed_token", [true, true, true, true, false, true, true]),
            ("instance", [true, false, false, false, false, false, false]),
        ], [false, true])
    func scopes(row: (per: String, admitted: [Bool]), inStore: Bool) async throws {
        let quota = try quota(limit: 1, per: row.per, store: inStore ? MemoryStore() : nil)
        for round in 0..<2 {
            var leases: [Lease] = []
            for (index, (caller, isAdmitted)) in zip(Self.callers, row.admitted).enumerated() {
                let lease = try await quota.admit(request("\(round)-\(index)", caller: caller)).lease
                #expect((lease != nil) == isAdmitted, "\(caller), in round \(round)")
                if let lease {
                    try await quota.renew(lease)
                    leases.append(lease)
                }
            }
            for lease in leases { await quota.release(lease, usage: CallUsage(duration: .seconds(1))) }
        }
    }

    @Test("of twenty racers of one user for three seats three win, beside twenty of another", arguments: [false, true])
    func userRace(inStore: Bool) async throws {
        let quota = try quota(limit: 3, per: "user", store: inStore ? MemoryStore() : nil)
        let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
            for racer in 0..<40 {
                group.addTask {
                    let caller = racer.isMultiple(of: 2) ? "ada" : "bob"
                    return try await quota.admit(request("\(racer)", caller: caller)).lease != nil
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(wins == 6)
    }

    @Test("a gateway that is killed gives its seats back within 30 s, to every gateway that shares the store")
    func killed() async throws {
        let clock = TestClock()
        let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        func gateway() async throws -> (SQLiteStore, ConcurrencyQuota) {
            let store = try SQLiteStore.watched("path: \(folder.path)/store.db", clock: clock)
            try await store.start()
            return (store, try ConcurrencyQuota.watched("{ limit: 1, store: shared }", stores: ["shared": store]))
        }
        let ((deadStore, dead), (liveStore, live)) = try await (gateway(), gateway())
        let lease = try #require(try await dead.admit(request("one")).lease)
        clock.advance(by: .seconds(10))
        try await dead.renew(lease)
        await deadStore.stop()
        clock.advance(by: .milliseconds(24_999))
        #expect(try await live.admit(request("two")).lease == nil)
        clock.advance(by: .milliseconds(1))
        #expect(try await live.admit(request("two")).lease != nil)
        await liveStore.stop()
    }

    @Test("a limit of 0 admits nobody")
    func closed() async throws {
        #expect(try await quota(limit: 0).admit(request("one")).lease == nil)
    }

    @Test("in a store a seat falls free when nobody renews it, and stays while somebody does")
    func expiry() async throws {
        let clock = TestClock()
        let store = MemoryStore(clock: clock)
        let quota = try quota(limit: 1, store: store)
        let lease = try #require(try await quota.admit(request("one")).lease)
        #expect(lease.timeToLive == .seconds(25))
        clock.advance(by: .seconds(24))
        try await quota.renew(lease)
        clock.advance(by: .seconds(24))
        #expect(try await quota.admit(request("two")).lease == nil)
        clock.advance(by: .seconds(1))
        let other = try #require(try await quota.admit(request("two")).lease)
        // The first call lives: it counts again, beyond the limit, and nobody comes in before both are gone.
        try await quota.renew(lease)
        #expect(try await store.count("concurrency:concurrency:acme") == 2)
        await quota.release(other, usage: CallUsage(duration: .zero))
        #expect(try await quota.admit(request("three")).lease == nil)
        await quota.release(lease, usage: CallUsage(duration: .zero))
        #expect(try await quota.admit(request("three")).lease != nil)
    }

    @Test("a call that was let in uncounted is counted later, beyond the limit; nobody comes in before there is room")
    func countedLater() async throws {
        let store = MemoryStore()
        let quota = try quota(limit: 1, store: store)
        let first = try #require(try await quota.admit(request("one")).lease)
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await quota.count(request("another")) }
        await store.fail(with: nil)
        let second = try #require(try await quota.count(request("two")))
        #expect(second.timeToLive == .seconds(25))
        #expect(try await store.count("concurrency:concurrency:acme") == 2)
        await quota.release(first, usage: CallUsage(duration: .zero))
        #expect(try await quota.admit(request("three")).lease == nil)
        await quota.release(second, usage: CallUsage(duration: .zero))
        #expect(try await quota.admit(request("three")).lease != nil)
    }

    @Test("when the store cannot be asked, admitting throws and releasing does not; the seat is given back later")
    func storeFailure() async throws {
        let store = MemoryStore()
        let quota = try quota(limit: 1, store: store)
        let lease = try #require(try await quota.admit(request("one")).lease)
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await quota.admit(request("two")) }
        await quota.release(lease, usage: CallUsage(duration: .zero))
        await store.fail(with: nil)
        // As if what was asked in vain had been done now.
        let seats = "concurrency:concurrency:acme"
        #expect(try await store.lease(seats, member: "two", limit: 2, timeToLive: .seconds(30)))
        for _ in 0..<1_000 {
            if try await store.count(seats) == 0 { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try await quota.admit(request("three")).lease != nil)
    }

    @Test("the log, in which no secret may be, has no embed token where a seat is lost or not taken back")
    func noToken() async throws {
        let store = MemoryStore()
        let quota = try quota(limit: 1, per: "embed_token", store: store)
        let token = Leaks.secret("an embed token", "page of the emb_XyZ0123456789")
        let lease = try #require(try await quota.admit(request("one", caller: token)).lease)
        try await store.release("concurrency:concurrency:acme/\(token)", member: "one")
        _ = try #require(try await quota.admit(request("two", caller: token)).lease)
        try await quota.renew(lease)
        #expect(try await store.count("concurrency:concurrency:acme/\(token)") == 2)
        await store.fail(with: Unreachable())
        await quota.release(lease, usage: CallUsage(duration: .zero))
    }

    @Test("a seat that is wanted again is not given back for what was asked in vain before")
    func wantedAgain() async throws {
        let store = MemoryStore()
        let quota = try quota(limit: 1, store: store)
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await quota.admit(request("one")) }
        // The first attempt to give it back is over by then.
        try await Task.sleep(for: .milliseconds(300))
        await store.fail(with: nil)
        #expect(try await quota.count(request("one")) != nil)
        try await Task.sleep(for: .milliseconds(1_500))
        #expect(try await store.count("concurrency:concurrency:acme") == 1)
    }

    private func quota(limit: Int, per: String = "tenant", store: MemoryStore? = nil) throws -> ConcurrencyQuota {
        guard let store else { return try ConcurrencyQuota.watched("{ limit: \(limit), per: \(per) }") }
        return try ConcurrencyQuota.watched(
            "{ limit: \(limit), per: \(per), store: shared }", stores: ["shared": store])
    }

    private func request(_ call: String, tenant: String = "acme") -> CallRequest {
        CallRequest(callID: call, tenant: tenant, principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1)
    }

    private func request(_ call: String, caller: String) -> CallRequest {
        var request = request(call, tenant: caller.hasSuffix("elsewhere") ? "other" : "acme")
        if caller.hasPrefix("page") {
            // As the user that is Ada to the other instance.
            request.principal = Principal(id: "7", runOwner: .embedToken(caller), isVisitor: true)
        }
        if caller == "bob" { request.principal = Principal(id: "8") }
        request.principal.authInstance = caller.hasPrefix("page") ? "embeds" : "users"
        return request
    }
}
