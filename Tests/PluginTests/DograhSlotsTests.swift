import Foundation
import PatchbayPlugin
import PatchbayTesting
import Redis
import RedisStore
import TestSupport
import Testing

@testable import DograhSlotsQuota

@Suite("Dograh's slots", .serialized, .enabled(if: RedisServer.isInstalled), .timeLimit(.minutes(10)))
struct DograhSlotsTests {
    private static let full = Denial(code: "concurrency_limit_exceeded", message: "Concurrent call limit reached")
    private static let bound = Denial(
        code: "workflow_run_already_active", message: "Workflow run already has an active call")
    private let clock = TestClock()

    private func quota(_ redis: RedisFixture, _ settings: String = "") throws -> DograhSlotsQuota {
        try DograhSlotsQuota.watched(
            "{ store: shared\(settings.isEmpty ? "" : ", " + settings) }", stores: ["shared": redis.store], clock: clock
        )
    }

    private func request(run: Int, organization: String? = "9") -> CallRequest {
        CallRequest(
            callID: "call \(run)", tenant: "default", principal: Principal(id: "7", organization: organization),
            workflowID: 33, workflowRunID: run)
    }

    private func lease(_ quota: DograhSlotsQuota, run: Int, organization: String? = "9") async throws -> Lease? {
        let outcome = try await quota.admit(request(run: run, organization: organization))
        return if case .admit(let lease) = outcome { lease } else { nil }
    }

    private func denial(_ quota: DograhSlotsQuota, run: Int, organization: String? = "9") async throws -> Denial? {
        let outcome = try await quota.admit(request(run: run, organization: organization))
        return if case .deny(let denial) = outcome { denial } else { nil }
    }

    /// How many calls an organisation or scope has, and how many the fleet.
    private func counts(_ redis: RedisFixture, _ name: String = "9") async throws -> [Int?] {
        [
            try await redis.integer("ZCARD", .text("concurrent_calls:\(name)")),
            try await redis.integer("ZCARD", "concurrent_calls_fleet"),
        ]
    }

    private func keys(_ redis: RedisFixture) async throws -> [String] { try await redis.texts("KEYS", "*").sorted() }

    private func now(_ redis: RedisFixture) async throws -> Int {
        Int(try #require(try await redis.texts("TIME").first)) ?? 0
    }

    private func release(_ quota: DograhSlotsQuota, _ lease: Lease) async {
        await quota.release(lease, usage: CallUsage(duration: .seconds(1)))
    }

    // MARK: - Taking and giving back

    @Test("a slot stands in Dograh's keys, as Dograh writes them, and is gone from all of them when it is given back")
    func layout() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "scope: { name: \"campaign:42\", limit: 5 }")
            let lease = try #require(try await lease(quota, run: 501))
            let slots = try await redis.texts("ZRANGE", "concurrent_calls:9", .integer(0), .integer(-1))
            let slot = try #require(slots.first)
            #expect(slots.count == 1 && slot.wholeMatch(of: /1800000000000_[0-9a-f]{8}/) != nil)
            #expect(
                try await keys(redis) == [
                    "concurrent_calls:9", "concurrent_calls:campaign:42", "concurrent_calls_fleet",
                    "patchbay:dograh_slots", "workflow_slot_mapping:501",
                ])
            let all = [RedisCommand.Argument.integer(0), .integer(-1)]
            #expect(try await redis.texts("ZRANGE", "concurrent_calls:campaign:42", all[0], all[1]) == [slot])
            #expect(try await redis.texts("ZRANGE", "concurrent_calls_fleet", all[0], all[1]) == ["9:\(slot)"])
            let mapping = try await redis.texts("HGETALL", "workflow_slot_mapping:501")
            #expect(mapping == ["org_id", "9", "slot_id", slot, "scope_key", "campaign:42"])
            let now = try await now(redis)
            for (key, member) in [
                ("concurrent_calls:9", slot), ("concurrent_calls:campaign:42", slot),
                ("concurrent_calls_fleet", "9:\(slot)"),
            ] {
                let score = try #require(try await redis.integer("ZSCORE", .text(key), .text(member)))
                #expect(abs(score - now) <= 30, "\(key): \(score), \(now)")
                let lifetime = try #require(try await redis.integer("TTL", .text(key)))
                #expect((3500...3600).contains(lifetime))
            }
            let lifetime = try #require(try await redis.integer("TTL", "workflow_slot_mapping:501"))
            #expect((1100...1200).contains(lifetime))
            #expect(lease.timeToLive == .seconds(20))

            await release(quota, lease)
            #expect(try await keys(redis) == [])
            await release(quota, lease)
        }
    }

    @Test("without a scope no scope is written, and calls without one count in none")
    func noScope() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis)
            let scoped = try self.quota(redis, "scope: { name: \"campaign:42\", limit: 1 }")
            _ = try #require(try await lease(quota, run: 1))
            #expect(try await redis.integer("HEXISTS", "workflow_slot_mapping:1", "scope_key") == 0)
            #expect(try await counts(redis, "campaign:42") == [0, 1])
            _ = try #require(try await lease(scoped, run: 2))
            #expect(try await counts(redis, "campaign:42") == [1, 2])
            #expect(try await counts(redis) == [2, 2])
        }
    }

    @Test(
        "at the limit of the organisation, which is ten unless it is written, nothing is left behind",
        arguments: [
            ("", "9", 10), ("limit: 3", "9", 3), ("limit: 3, limits: { 9: 2, 8: 5 }", "9", 2),
            ("limit: 3, limits: { 9: 2 }", "8", 3),
        ])
    func limit(settings: String, organization: String, limit: Int) async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, settings)
            for run in 0..<limit { #expect(try await lease(quota, run: run, organization: organization) != nil) }
            let before = try await keys(redis)
            #expect(try await denial(quota, run: limit, organization: organization) == Self.full)
            #expect(try await counts(redis, organization) == [limit, limit])
            #expect(try await keys(redis) == before)
            #expect(try await lease(quota, run: limit, organization: "77") != nil)
        }
    }

    @Test("both limits bind where there is a scope, and a refusal leaves nothing in any of the sets")
    func scopeLimit() async throws {
        try await RedisFixture.with { redis in
            let scoped = try quota(redis, "limit: 3, scope: { name: \"campaign:42\", limit: 2 }")
            for run in 0..<2 { #expect(try await lease(scoped, run: run) != nil) }
            #expect(try await denial(scoped, run: 2) == Self.full)
            #expect(try await counts(redis) == [2, 2])
            #expect(try await counts(redis, "campaign:42") == [2, 2])
            let plain = try quota(redis, "limit: 3")
            #expect(try await lease(plain, run: 3) != nil)
            let roomy = try quota(redis, "limit: 3, scope: { name: \"campaign:43\", limit: 2 }")
            #expect(try await denial(roomy, run: 4) == Self.full)
            #expect(try await counts(redis, "campaign:43") == [0, 3])
        }
    }

    @Test("Dograh's own calls count, and those that are stale do not")
    func others() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "limit: 2, scope: { name: \"campaign:42\", limit: 2 }")
            let now = try await now(redis)
            for (key, prefix) in [
                ("concurrent_calls:9", ""), ("concurrent_calls:campaign:42", ""), ("concurrent_calls_fleet", "9:"),
            ] {
                for (age, slot) in [(1205, "stale"), (1100, "fresh")] {
                    _ = try await redis.raw.send(
                        RedisCommand("ZADD", .text(key), .integer(now - age), .text(prefix + slot)))
                }
            }
            #expect(try await lease(quota, run: 1) != nil)
            #expect(try await counts(redis) == [2, 2])
            #expect(try await counts(redis, "campaign:42") == [2, 2])
            #expect(try await redis.integer("ZSCORE", "concurrent_calls_fleet", "9:stale") == nil)
            #expect(try await denial(quota, run: 2) == Self.full)
        }
    }

    @Test("a run has one slot: the second is refused, its slot given back; a full organisation comes first")
    func bound() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "limit: 2")
            let lease = try #require(try await lease(quota, run: 501))
            #expect(try await denial(quota, run: 501) == Self.bound)
            #expect(try await counts(redis) == [1, 1])
            // Somebody else's, on the telephone.
            _ = try await redis.raw.send(
                RedisCommand("HSET", "workflow_slot_mapping:7", "org_id", "9", "slot_id", "x"))
            #expect(try await denial(quota, run: 7) == Self.bound)
            #expect(try await counts(redis) == [1, 1])
            #expect(try await self.lease(quota, run: 502) != nil)
            #expect(try await denial(quota, run: 501) == Self.full)
            await release(quota, lease)
            #expect(try await self.lease(quota, run: 501) != nil)
        }
    }

    @Test("a run has one slot whatever the organisation: whoever may name another's run keeps its own call out")
    func boundByAnother() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis)
            // What has a host warn of tenants whose callers choose.
            #expect(quota.sharesRunNumbers)
            let theirs = try #require(try await lease(quota, run: 501, organization: "8"))
            let slot = try #require(Slot(entry: theirs.id))
            #expect(try await denial(quota, run: 501) == Self.bound)
            #expect(try await counts(redis) == [0, 1])
            let mapping = try await redis.texts("HGETALL", "workflow_slot_mapping:501")
            #expect(mapping == ["org_id", "8", "slot_id", slot.id])
            #expect(try await lease(quota, run: 502) != nil)
            await release(quota, theirs)
            #expect(try await lease(quota, run: 501) != nil)
        }
    }

    @Test("visitors of embed pages have runs of the gateway's, not Dograh's of that number: they count unbound")
    func embedPages() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "limit: 4, scope: { name: \"campaign:42\", limit: 9 }")
            #expect(try await lease(quota, run: 7) != nil)
            let slot = try await redis.texts("HGETALL", "workflow_slot_mapping:7")
            var leases: [Lease] = []
            for page in ["emb_one", "emb_other"] {
                var request = request(run: 7)
                request.principal.runOwner = .embedToken(page)
                guard case .admit(let lease) = try await quota.admit(request) else { throw NotAdmitted() }
                leases.append(lease)
            }
            #expect(try await counts(redis) == [3, 3])
            #expect(try await counts(redis, "campaign:42") == [3, 3])
            // Also where all of it has to be entered again, and where it is left behind.
            for lease in leases { try await quota.renew(lease) }
            let id = try #require(Slot(entry: leases[0].id)).id
            _ = try await redis.raw.send(RedisCommand("ZREM", "concurrent_calls_fleet", .text("9:\(id)")))
            for lease in leases { try await quota.renew(lease) }
            await release(quota, leases[0])
            _ = try await redis.raw.send(
                RedisCommand("ZADD", "patchbay:dograh_slots", .integer(1), .text(leases[1].id)))
            #expect(try await SlotTable(redis.store, lifetime: 20).reclaim().map(\.run) == [nil])
            #expect(try await counts(redis) == [1, 1])
            #expect(try await counts(redis, "campaign:42") == [1, 1])
            #expect(try await redis.texts("HGETALL", "workflow_slot_mapping:7") == slot)
            #expect(try await redis.texts("KEYS", "workflow_slot_mapping:*").count == 1)
        }
    }

    private struct NotAdmitted: Error {}

    @Test("what another slot has bound meanwhile is not given back")
    func foreignMapping() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis)
            let lease = try #require(try await lease(quota, run: 501))
            _ = try await redis.raw.send(RedisCommand("HSET", "workflow_slot_mapping:501", "slot_id", "x"))
            try await quota.renew(lease)
            await release(quota, lease)
            #expect(try await redis.texts("HGETALL", "workflow_slot_mapping:501") == ["org_id", "9", "slot_id", "x"])
            #expect(try await counts(redis) == [0, 0])
        }
    }

    @Test("of 64 racers for the last slot, at two gateways, one wins, round after round")
    func race() async throws {
        try await RedisFixture.with("timeout: 10s") { redis in
            let other = try RedisFixture.store(redis.server, "timeout: 10s")
            try await other.start()
            let quotas = try [redis.store, other].map {
                try DograhSlotsQuota.watched("{ store: shared, limit: 3 }", stores: ["shared": $0])
            }
            for run in 1...2 { #expect(try await lease(quotas[0], run: run) != nil) }
            for round in 1...RedisStoreTests.rounds {
                let winners: [Lease] = try await withThrowingTaskGroup(of: Lease?.self) { group in
                    for racer in 0..<64 {
                        group.addTask { try await lease(quotas[racer % 2], run: round * 100 + racer) }
                    }
                    return try await group.reduce(into: []) { if let winner = $1 { $0.append(winner) } }
                }
                #expect(winners.count == 1)
                #expect(try await counts(redis) == [3, 3])
                for winner in winners { await release(quotas[round % 2], winner) }
            }
            #expect(try await counts(redis) == [2, 2])
            await other.stop()
        }
    }

    // MARK: - Renewing

    @Test("a renewal moves the time forward, so that a call may last longer than Dograh's 1200 s")
    func renewal() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "limit: 1, scope: { name: \"campaign:42\", limit: 1 }")
            let lease = try #require(try await lease(quota, run: 501))
            let slot = try #require(Slot(entry: lease.id))
            let now = try await now(redis)
            let sets = [
                ("concurrent_calls:9", slot.id), ("concurrent_calls:campaign:42", slot.id),
                ("concurrent_calls_fleet", "9:\(slot.id)"),
            ]
            for (key, member) in sets {
                _ = try await redis.raw.send(RedisCommand("ZADD", .text(key), .integer(now - 1190), .text(member)))
                _ = try await redis.raw.send(RedisCommand("EXPIRE", .text(key), .integer(60)))
            }
            _ = try await redis.raw.send(RedisCommand("EXPIRE", "workflow_slot_mapping:501", .integer(60)))
            try await quota.renew(lease)
            for (key, member) in sets {
                let score = try #require(try await redis.integer("ZSCORE", .text(key), .text(member)))
                #expect(score >= now)
                #expect(try #require(try await redis.integer("TTL", .text(key))) > 3500)
            }
            #expect(try #require(try await redis.integer("TTL", "workflow_slot_mapping:501")) > 1100)
            #expect(try await denial(quota, run: 502) == Self.full)
        }
    }

    @Test("when Redis has forgotten everything, live calls are counted again, whatever the limit")
    func flushed() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "limit: 2")
            let leases = [try await lease(quota, run: 1), try await lease(quota, run: 2)].compactMap(\.self)
            let before = try await keys(redis)
            _ = try await redis.raw.send(RedisCommand("FLUSHALL"))
            // In the moment before the renewals there is room.
            let third = try #require(try await lease(quota, run: 3))
            for lease in leases + [third] { try await quota.renew(lease) }
            #expect(try await counts(redis) == [3, 3])
            #expect(try await keys(redis) == (before + ["workflow_slot_mapping:3"]).sorted())
            let slot = try #require(Slot(entry: leases[0].id))
            #expect(try await redis.texts("HGETALL", "workflow_slot_mapping:1") == ["org_id", "9", "slot_id", slot.id])
            #expect(try await denial(quota, run: 4) == Self.full)
            for lease in leases { await release(quota, lease) }
            #expect(try await counts(redis) == [1, 1])
            #expect(try await lease(quota, run: 4) != nil)
        }
    }

    @Test("a call whose slot was released keeps none by a renewal that does not enter")
    func afterRelease() async throws {
        try await RedisFixture.with { redis in
            let table = SlotTable(redis.store, lifetime: 20)
            let slot = Slot(organization: "9", run: 1, scope: nil, now: clock.now, random: 1)
            #expect(try await table.acquire(slot, limit: 1, scopeLimit: 0) == .taken(1))
            #expect(try await table.renew(slot, enters: false))
            try await table.release(slot)
            #expect(try await !table.renew(slot, enters: false))
            #expect(try await counts(redis) == [0, 0])
        }
    }

    // MARK: - Gateways that are gone

    @Test("slots of a gateway that is gone are given back by another, those of one that lives are not")
    func reclaim() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "scope: { name: \"campaign:42\", limit: 9 }")
            let dead = try #require(try await lease(quota, run: 1))
            let live = try #require(try await lease(quota, run: 2))
            let now = try await now(redis)
            let expiry = try #require(try await redis.integer("ZSCORE", "patchbay:dograh_slots", .text(dead.id)))
            #expect((now...now + 21).contains(expiry))
            let table = SlotTable(redis.store, lifetime: 20)
            #expect(try await table.reclaim() == [])
            let strange = ["9|x", "a b|c|1", "nonsense", "9|x|+1", "9|x|1|", ""].map { Array($0.utf8) }
            for entry in strange + [[0xff, 0xfe], Array(dead.id.utf8)] {
                _ = try await redis.raw.send(
                    RedisCommand("ZADD", "patchbay:dograh_slots", .integer(now - 1), .bytes(entry)))
            }
            #expect(try await table.reclaim().map(\.run) == [1])
            #expect(try await counts(redis) == [1, 1])
            #expect(try await counts(redis, "campaign:42") == [1, 1])
            #expect(
                try await redis.texts("ZRANGE", "patchbay:dograh_slots", .integer(0), .integer(-1)) == [live.id])
            #expect(try await redis.integer("EXISTS", "workflow_slot_mapping:1") == 0)
            #expect(try await table.reclaim() == [])
            // It was only away.
            try await quota.renew(dead)
            #expect(try await counts(redis) == [2, 2])
            #expect(try await redis.integer("EXISTS", "workflow_slot_mapping:1") == 1)
        }
    }

    @Test("however many there are, one look is enough")
    func many() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis, "limit: 500")
            for run in 1...200 { #expect(try await lease(quota, run: run) != nil) }
            for entry in try await redis.texts("ZRANGE", "patchbay:dograh_slots", .integer(0), .integer(-1)) {
                _ = try await redis.raw.send(RedisCommand("ZADD", "patchbay:dograh_slots", .integer(1), .text(entry)))
            }
            #expect(try await SlotTable(redis.store, lifetime: 20).reclaim().count == 200)
            #expect(try await keys(redis) == [])
        }
    }

    @Test("a gateway looks for such slots by itself, from its start to its stop, but not while it starts")
    func looksByItself() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis)
            let dead = try #require(try await lease(quota, run: 1))
            _ = try await redis.raw.send(RedisCommand("ZADD", "patchbay:dograh_slots", .integer(1), .text(dead.id)))
            // As `patchbay check --connect` does.
            try await quota.start()
            await quota.stop()
            #expect(try await counts(redis) == [1, 1])
            try await quota.start()
            try await redis.eventually { try await counts(redis) == [0, 0] }
            await quota.stop()
            await quota.stop()
        }
    }

    @Test("after Redis was away, whoever lives renews before anything is given back")
    func patience() async throws {
        try await RedisFixture.with("timeout: 200ms") { redis in
            let quota = try quota(redis)
            let live = try #require(try await lease(quota, run: 1))
            _ = try #require(try await lease(quota, run: 2))
            let table = SlotTable(redis.store, lifetime: 20)
            redis.server.pause()
            let looking = Task {
                await Reclaimer(
                    table: table, logger: .watched, interval: .milliseconds(50), patience: .seconds(3)
                ).run()
            }
            try await Task.sleep(for: .seconds(1))
            redis.server.resume()
            // As after twenty seconds.
            for entry in try await redis.texts("ZRANGE", "patchbay:dograh_slots", .integer(0), .integer(-1)) {
                _ = try await redis.raw.send(RedisCommand("ZADD", "patchbay:dograh_slots", .integer(1), .text(entry)))
            }
            try await redis.eventually { (try? await table.leftovers())?.count == 2 }
            // Not entered again, but still there.
            let slot = try #require(Slot(entry: live.id))
            #expect(try await table.renew(slot, enters: false))
            try await redis.eventually { try await counts(redis) == [1, 1] }
            #expect(try await redis.integer("EXISTS", "workflow_slot_mapping:1") == 1)
            looking.cancel()
            await looking.value
        }
    }

    // MARK: - When Redis is not as it should be

    @Test("a call is refused when Redis does not answer, soon, and has no slot afterwards")
    func fails() async throws {
        try await RedisFixture.with("timeout: 500ms") { redis in
            let quota = try quota(redis)
            let lease = try #require(try await lease(quota, run: 1))
            redis.server.pause()
            let begun = ContinuousClock.now
            #expect(try await denial(quota, run: 2) == Self.full)
            #expect(.now - begun < .seconds(2))
            await #expect(throws: RedisError.self) { try await quota.renew(lease) }
            redis.server.resume()
            // What was asked is carried out now, and taken back.
            try await redis.eventually { try await redis.integer("EXISTS", "workflow_slot_mapping:2") == 0 }
            try await redis.eventually { (try? await quota.renew(lease)) != nil }
            #expect(try await counts(redis) == [1, 1])
            redis.server.kill()
            #expect(try await denial(quota, run: 3) == Self.full)
            await release(quota, lease)
        }
    }

    @Test("a slot that Redis did not take back stays bound, and is given back when Redis is there again")
    func lateRelease() async throws {
        try await RedisFixture.with { redis in
            let quota = try quota(redis)
            let lease = try #require(try await lease(quota, run: 1))
            _ = try await redis.raw.send(RedisCommand("REPLICAOF", "127.0.0.1", "1"))
            await release(quota, lease)
            #expect(try await denial(quota, run: 2) == Self.full)
            #expect(try await redis.integer("EXISTS", "workflow_slot_mapping:1") == 1)
            #expect(try await counts(redis) == [1, 1])
            _ = try await redis.raw.send(RedisCommand("REPLICAOF", "NO", "ONE"))
            _ = try await redis.raw.send(RedisCommand("ZADD", "patchbay:dograh_slots", .integer(1), .text(lease.id)))
            #expect(try await SlotTable(redis.store, lifetime: 20).reclaim().count == 1)
            #expect(try await keys(redis) == [])
        }
    }

    // MARK: - Settings

    @Test("a caller without an organisation has that of the settings, or none and no call")
    func organization() async throws {
        try await RedisFixture.with { redis in
            let (quota, named) = (try quota(redis), try quota(redis, "organization: 77"))
            #expect(try await denial(quota, run: 1, organization: nil) == Self.full)
            for strange in ["", "campaign:42", "9|x", "a b", String(repeating: "9", count: 65)] {
                #expect(try await denial(quota, run: 1, organization: strange) == Self.full)
            }
            #expect(try await keys(redis) == [])
            #expect(try await lease(named, run: 1, organization: nil) != nil)
            #expect(try await lease(named, run: 2) != nil)
            #expect(try await counts(redis, "77") == [1, 2])
        }
    }

    @Test(
        "settings that cannot be are found at the one that is wrong",
        arguments: [
            ("store: memory", "store"), ("{ store: shared, limits: { 9: 0 } }", "limits"),
            ("{ store: shared, limits: { \"a:b\": 1 } }", "limits"),
            ("{ store: shared, organization: \"a b\" }", "organization"),
            ("{ store: shared, scope: { name: campaign, limit: 1 } }", "scope"),
            ("{ store: shared, scope: { name: \"a: b\", limit: 1 } }", "scope"),
        ])
    func settings(yaml: String, field: String) throws {
        let stores: [String: any StorePlugin] = [
            "shared": try RedisStore.watched("url: redis://127.0.0.1:1"), "memory": try MemoryStore.watched(),
        ]
        let fault = #expect(throws: SettingsFault.self) { try DograhSlotsQuota.watched(yaml, stores: stores) }
        #expect(fault?.field == field, "\(fault?.description ?? "")")
    }

    @Test("a user of the ACL needs no more than docs/redis.md says")
    func permissions() async throws {
        let keys = ["~patchbay:*", "~concurrent_calls*", "~workflow_slot_mapping:*"]
        let rights = ["-@all", "+@read", "+@write", "+@connection", "+@scripting", "+time"]
        let server = try await RedisServer(["--user", "gateway", "on", ">sesame-of-the-gateway"] + keys + rights)
        let store = try RedisStore.watched(
            "{ url: \"redis://127.0.0.1:\(server.port)\", username: gateway, password: { env: PASSWORD } }",
            environment: ["PASSWORD": "sesame-of-the-gateway"])
        try await store.start()
        try await PluginConformance.check(
            DograhSlotsQuota.self,
            yaml: "{ store: shared, organization: 9, scope: { name: \"campaign:42\", limit: 1 } }",
            stores: ["shared": store], logger: .watched)
        #expect(try await SlotTable(store, lifetime: 20).reclaim() == [])
        await store.stop()
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await RedisFixture.with { redis in
            try await PluginConformance.check(
                DograhSlotsQuota.self, yaml: "{ store: shared, organization: 9 }", stores: ["shared": redis.store],
                logger: .watched)
        }
    }
}
