import Foundation
import PatchbayPlugin
import PatchbayTesting
import SQLiteStore
import Testing

@testable import EmbedTokenAuth

@Suite("Embed limits")
struct EmbedLimitTests {
    @Test("a token starts as many calls as its limit says, and the next is refused without a run")
    func usage() async throws {
        let page = try EmbedFixture()
        for _ in 0..<2 { #expect(try await page.post(token: "emb_twice").status == 200) }
        let before = await page.store.keys
        let response = try await page.post(token: "emb_twice")
        #expect(response.status == 403)
        #expect(try response.json == ["detail": "Embed token usage limit exceeded"])
        #expect(await page.store.keys == before)
        #expect(try await page.post(token: "emb_demo").json["workflow_run_id"] == 3)
    }

    @Test("uses before there was a limit count, and those that came to nothing afterwards")
    func unlimited() async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_a, workflow: 7 }]")
        _ = try await page.post(token: "emb_a")
        await page.store.fail(with: Unreachable())
        #expect(try await page.post(token: "emb_a").status == 500)
        await page.store.fail(with: nil)
        let limited = try page.reconfigured(tokens: "[{ token: emb_a, workflow: 7, usage_limit: 2 }]")
        #expect(try await page.post(token: "emb_a", to: limited).status == 200)
        #expect(try await page.post(token: "emb_a", to: limited).status == 403)
    }

    @Test("of a thousand starts at once, a limit of seven lets seven through", arguments: ["memory", "sqlite"])
    func race(engine: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let clock = TestClock()
        let store: any StorePlugin =
            engine == "memory"
            ? MemoryStore(clock: clock)
            : try SQLiteStore.watched("path: \(folder.appending(path: "a.db").path)", clock: clock)
        try await store.start()
        let auth = try EmbedTokenAuth.watched(
            """
            store: local
            starts_per_token: 9000
            starts_per_address: 9000
            tokens: [{ token: emb_a, workflow: 7, usage_limit: 7 }]
            """, stores: ["local": store], clock: clock)
        let route = try #require(auth.routes.first)
        let request = RouteRequest(
            tenant: "default", method: "POST", parameters: ["path": "init"], body: Array(#"{"token":"emb_a"}"#.utf8),
            runs: WorkflowRuns(store: store, tenant: "default"))
        let statuses = try await withThrowingTaskGroup(of: Int?.self) { group in
            for _ in 0..<1_000 { group.addTask { try await route.handler(request).status } }
            return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
        #expect(statuses == [200: 7, 403: 993])
        #expect(try await store.increment("run:default:ids", limit: .max) == 8)
        await store.stop()
    }

    @Test("a token may start so many sessions a minute, a third of them at once")
    func perToken() async throws {
        let page = try EmbedFixture(settings: "starts_per_token: 6")
        for start in 0..<2 {
            #expect(try await page.post(token: "emb_demo", address: "192.0.2.\(start)").status == 200)
        }
        let before = await page.store.keys
        let response = try await page.post(token: "emb_demo", address: "192.0.2.9")
        #expect(response.status == 429)
        #expect(try response.json == ["detail": "Too many sessions. Please try again shortly"])
        #expect(response.headers["access-control-allow-origin"] == EmbedFixture.page)
        #expect(await page.store.keys == before)
        #expect(try await page.store.increment(EmbedFixture.uses(of: "emb_demo"), limit: .max) == 3)
        #expect(try await page.post(token: "emb_twice").status == 200)
        page.clock.advance(by: .seconds(10))
        #expect(try await page.post(token: "emb_demo").status == 200)
        #expect(try await page.post(token: "emb_demo").status == 429)
    }

    @Test("an address may start so many, and what it may not is not held against the token")
    func perAddress() async throws {
        let page = try EmbedFixture(settings: "starts_per_address: 3, starts_per_token: 6")
        #expect(try await page.post(token: "emb_demo", address: "192.0.2.1").status == 200)
        for _ in 0..<9 { #expect(try await page.post(token: "emb_demo", address: "192.0.2.1").status == 429) }
        #expect(try await page.post(token: "emb_demo", address: "192.0.2.2").status == 200)
    }

    @Test("tenants that share an instance have each their own, of a token and of an address")
    func perTenant() async throws {
        for setting in ["starts_per_address: 3", "starts_per_token: 3"] {
            let page = try EmbedFixture(settings: setting)
            #expect(try await page.post(token: "emb_demo").status == 200)
            #expect(try await page.post(token: "emb_demo").status == 429)
            #expect(try await page.post(token: "emb_demo", tenant: "other").status == 200)
            #expect(try await page.post(token: "emb_demo", tenant: "other").status == 429)
        }
    }

    @Test("a use is not spent on a start that comes too fast, nor speed on a refused page")
    func order() async throws {
        let page = try EmbedFixture(settings: "starts_per_token: 3")
        for _ in 0..<9 {
            #expect(try await page.post(token: "emb_demo", headers: [:]).status == 403)
            #expect(try await page.post(token: "emb_off").status == 403)
        }
        #expect(try await page.isUntouched("emb_demo", "emb_off"))
        #expect(try await page.post(token: "emb_demo").status == 200)
    }

    @Test(
        "no limit can be nothing",
        arguments: ["starts_per_token: 0", "starts_per_address: 0", "starts_per_token: -1"])
    func zero(setting: String) {
        #expect(throws: (any Error).self) { try EmbedFixture(settings: setting) }
    }

    @Test("addresses of one network count as one")
    func network() async throws {
        let page = try EmbedFixture(settings: "starts_per_address: 3")
        let (one, other) = ("2001:db8::/64", "2001:db8:0:1::/64")
        #expect(try await page.post(token: "emb_demo", address: "2001:db8::1", network: one).status == 200)
        #expect(try await page.post(token: "emb_demo", address: "2001:db8::2", network: one).status == 429)
        #expect(try await page.post(token: "emb_demo", address: "2001:db8:0:1::1", network: other).status == 200)
    }
}

@Suite("Rate limit")
struct RateLimitTests {
    @Test("gives a third at once, then at its rate, and never more than the third again")
    func rate() {
        let limit = RateLimit(perMinute: 60)
        #expect(admitted(limit, "a", at: .zero) == 20)
        #expect(admitted(limit, "a", at: .milliseconds(999)) == 0)
        #expect(admitted(limit, "a", at: .seconds(1), of: 1) == 1)
        #expect(admitted(limit, "a", at: .seconds(1)) == 0)
        #expect(admitted(limit, "a", at: .seconds(900)) == 20)
        #expect(admitted(limit, "b", at: .seconds(900)) == 20)
    }

    /// How many attempts at once are admitted.
    private func admitted(_ limit: RateLimit, _ key: String, at now: Duration, of attempts: Int = 30) -> Int {
        var admitted = 0
        for _ in 0..<attempts where limit.admit(key, now: now) { admitted += 1 }
        return admitted
    }

    @Test("says whether there is room, and takes nothing for that")
    func room() {
        let limit = RateLimit(perMinute: 3)
        for _ in 0..<9 { #expect(limit.hasRoom("a", now: .zero)) }
        #expect(limit.admit("a", now: .zero))
        #expect(!limit.hasRoom("a", now: .milliseconds(19_999)))
        #expect(limit.hasRoom("a", now: .seconds(20)))
        #expect(limit.hasRoom("b", now: .zero))
        #expect(limit.count == 1)
    }

    @Test("a clock that is put back does not shut a key out for longer than its bucket takes to fill")
    func clockPutBack() {
        let limit = RateLimit(perMinute: 60)
        #expect(admitted(limit, "a", at: .seconds(9_000)) == 20)
        #expect(admitted(limit, "a", at: .zero) == 0)
        #expect(admitted(limit, "a", at: .milliseconds(999)) == 0)
        #expect(admitted(limit, "a", at: .seconds(1), of: 1) == 1)
    }

    @Test("remembers no more keys than it may, and forgets the emptiest last")
    func bounded() {
        let limit = RateLimit(perMinute: 3, capacity: 100)
        for key in 0..<10_000 {
            #expect(admitted(limit, "\(key)", at: .milliseconds(key), of: 1) == 1)
            #expect(limit.count <= 100)
        }
        #expect(admitted(limit, "9999", at: .seconds(10)) == 0)
    }
}
