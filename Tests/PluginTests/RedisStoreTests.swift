import ConcurrencyQuota
import Foundation
import PatchbayPlugin
import PatchbayTesting
import Redis
import RedisStore
import TestSupport
import Testing

/// What is Redis's own about its store; what it has in common with the others is in `StoreTests`.
@Suite("The store in Redis", .serialized, .enabled(if: RedisServer.isInstalled), .timeLimit(.minutes(10)))
struct RedisStoreTests {
    @Test("does what every store must")
    func conforms() async throws {
        let server = try await RedisServer()
        try await PluginConformance.check(
            RedisStore.self, yaml: "url: redis://127.0.0.1:\(server.port)", logger: .watched)
    }

    @Test("a user of the ACL needs no more than docs/redis.md says")
    func permissions() async throws {
        let rights = ["~patchbay:*", "-@all", "+@read", "+@write", "+@connection", "+@scripting", "+time"]
        let server = try await RedisServer(["--user", "gateway", "on", ">sesame-of-the-gateway"] + rights)
        try await PluginConformance.check(
            RedisStore.self,
            yaml: "{ url: \"redis://127.0.0.1:\(server.port)\", username: gateway, password: { env: PASSWORD } }",
            environment: ["PASSWORD": Leaks.secret("a Redis password", "sesame-of-the-gateway")], logger: .watched)
    }

    @Test("values expire by the server's clock, and those without an end do not")
    func expiry() async throws {
        try await RedisFixture.with { redis in
            let store = redis.store
            try await store.set("t:short", [1], timeToLive: .milliseconds(50))
            #expect(try await store.add("t:added", [1], timeToLive: .milliseconds(50)))
            try await store.set("t:long", [1], timeToLive: .seconds(60))
            try await store.set("t:good", [1], timeToLive: nil)
            for never in [Duration.zero, .seconds(-5), .nanoseconds(1)] {
                try await store.set("t:over", [1], timeToLive: never)
                try await redis.eventually { try await store.get("t:over") == nil }
            }
            try await store.set("t:endless", [1], timeToLive: .seconds(Int64.max))
            try await redis.eventually { try await store.get("t:short") == nil }
            try await redis.eventually { try await store.add("t:added", [2], timeToLive: .seconds(60)) }
            #expect(try await store.get("t:added") == [2])
            #expect(try await store.get("t:long") == [1])
            #expect(try await store.get("t:endless") == [1])
            let left = try #require(try await redis.integer("PTTL", "patchbay:value:t:long"))
            #expect((30_000...60_000).contains(left))
            #expect(try await redis.integer("PTTL", "patchbay:value:t:good") == -1)
        }
    }

    @Test("a place that is not renewed falls free, one that is does not")
    func leaseExpiry() async throws {
        try await RedisFixture.with { redis in
            let store = redis.store
            #expect(try await store.lease("t:s", member: "gone", limit: 2, timeToLive: .milliseconds(400)))
            #expect(try await store.lease("t:s", member: "here", limit: 2, timeToLive: .milliseconds(400)))
            #expect(try await store.lease("t:s", member: "here", limit: 2, timeToLive: .seconds(60)))
            #expect(try await store.count("t:s") == 2)
            #expect(try await !store.lease("t:s", member: "new", limit: 2, timeToLive: .seconds(60)))
            try await redis.eventually { try await store.count("t:s") == 1 }
            #expect(try await store.lease("t:s", member: "new", limit: 2, timeToLive: .seconds(60)))
            #expect(try await !store.lease("t:s", member: "gone", limit: 2, timeToLive: .seconds(60)))
            #expect(
                try await redis.texts("ZRANGE", "patchbay:lease:t:s", .integer(0), .integer(-1)) == ["here", "new"])
        }
    }

    @Test("a short lease does not end the long ones beside it, and the last takes the key with it")
    func keyLifetime() async throws {
        try await RedisFixture.with { redis in
            let store = redis.store
            #expect(try await store.lease("t:s", member: "long", limit: 9, timeToLive: .seconds(3600)))
            #expect(try await store.lease("t:s", member: "short", limit: 9, timeToLive: .milliseconds(10)))
            let left = try #require(try await redis.integer("PTTL", "patchbay:lease:t:s"))
            #expect(left > 3_000_000)
            #expect(try await store.lease("t:brief", member: "a", limit: 9, timeToLive: .milliseconds(10)))
            try await redis.eventually { try await redis.integer("EXISTS", "patchbay:lease:t:brief") == 0 }
        }
    }

    @Test("shares are forgotten when nobody has asked about them for their time, and a counter without shares never is")
    func counterExpiry() async throws {
        try await RedisFixture.with { redis in
            let draw = { (amount: Int, time: Duration) in
                try await redis.store.share("t:sum", member: "a", .draw(upTo: amount, limit: 9), timeToLive: time)
            }
            let lifetimes = {
                [
                    try await redis.integer("PTTL", "patchbay:counter:t:sum") ?? 0,
                    try await redis.integer("PTTL", "patchbay:share:a:t:sum") ?? 0,
                ]
            }
            #expect(try await draw(5, .seconds(60)) == (5, 5))
            #expect(try await lifetimes().allSatisfy((30_000...60_000).contains))
            #expect(try await draw(5, .seconds(10_000)) == (5, 5))
            #expect(try await lifetimes().allSatisfy((9_000_000...10_000_000).contains))
            _ = try await redis.store.share("t:sum", member: "a", .settle(6), timeToLive: .seconds(10_000))
            #expect((9_000_000...10_000_000).contains(try await lifetimes()[0]))
            #expect((3_000_000...3_600_000).contains(try await lifetimes()[1]))
            _ = try await redis.store.share(
                "t:short", member: "a", .draw(upTo: 5, limit: 9), timeToLive: .milliseconds(10))
            try await redis.eventually {
                try await redis.integer("EXISTS", "patchbay:counter:t:short", "patchbay:share:a:t:short") == 0
            }
            #expect(try await redis.store.increment("t:kept", limit: 9) == 1)
            #expect(try await redis.integer("PTTL", "patchbay:counter:t:kept") == -1)
        }
    }

    @Test(
        "one key may have a value, a counter and a set; all begin with the prefix, and other prefixes do not see them")
    func keys() async throws {
        try await RedisFixture.with { redis in
            let other = try RedisFixture.store(redis.server, "prefix: \"staging:\"")
            try await other.start()
            for store in [redis.store, other] {
                #expect(try await store.get("run:1") == nil)
                #expect(try await store.lease("run:1", member: "a", limit: 1, timeToLive: .seconds(60)))
                #expect(try await store.add("run:1", [1], timeToLive: nil))
                #expect(try await store.increment("run:1", limit: 3) == 1)
                #expect(try await store.count("run:1") == 1)
            }
            let kinds = ["counter", "lease", "value"]
            #expect(
                try await redis.texts("KEYS", "*").sorted()
                    == ["patchbay", "staging"].flatMap { prefix in kinds.map { "\(prefix):\($0):run:1" } })
            await other.stop()
        }
    }

    @Test("of many keys all are listed, once each, and none that has expired or that another prefix has")
    func manyKeys() async throws {
        try await RedisFixture.with("prefix: \"a*:\"") { redis in
            func write(_ keys: [String]) async throws {
                let words = keys.flatMap { key -> [RedisCommand.Argument] in [.text(key), "1"] }
                _ = try await redis.raw.send(RedisCommand(["MSET"] + words))
            }
            let ours = (0..<5_000).map { "t:\($0)" }
            try await write(ours.map { "a*:value:\($0)" })
            try await write((0..<5_000).map { "ab:value:t:\($0)" })
            try await write((0..<5_000).map { "a*:counter:t:\($0)" })
            let found = try await redis.store.keys(startingWith: "t:", limit: .max)
            #expect(found.sorted() == ours.sorted())
            #expect(try await redis.store.keys(startingWith: "t:4", limit: 10_000).count == 1_111)
            #expect(try await redis.store.keys(startingWith: "t:", limit: 1_234).count == 1_234)
            try await redis.store.set("u:short", [1], timeToLive: .milliseconds(10))
            try await redis.eventually { try await redis.store.keys(startingWith: "u:", limit: 9) == [] }
        }
    }

    @Test("two gateways see the same")
    func shared() async throws {
        try await RedisFixture.with { redis in
            let other = try RedisFixture.store(redis.server)
            try await other.start()
            try await redis.store.set("t:a", [1], timeToLive: .seconds(60))
            #expect(try await other.take("t:a") == [1])
            #expect(try await redis.store.take("t:a") == nil)
            #expect(try await redis.store.lease("t:s", member: "a", limit: 1, timeToLive: .seconds(60)))
            #expect(try await !other.lease("t:s", member: "b", limit: 1, timeToLive: .seconds(60)))
            try await other.release("t:s", member: "a")
            #expect(try await other.lease("t:s", member: "b", limit: 1, timeToLive: .seconds(60)))
            await other.stop()
        }
    }

    /// How many rounds are run; `PATCHBAY_RACES=1000` runs more.
    static let rounds = ProcessInfo.processInfo.environment["PATCHBAY_RACES"].flatMap { Int($0) } ?? 50

    @Test("of 64 racers for the last place, at two gateways, one wins, round after round")
    func race() async throws {
        try await RedisFixture.with("timeout: 10s") { redis in
            let other = try RedisFixture.store(redis.server, "timeout: 10s")
            try await other.start()
            for member in ["a", "b"] {
                #expect(try await other.lease("t:s", member: member, limit: 3, timeToLive: .seconds(600)))
            }
            for round in 0..<Self.rounds {
                let winners: [String] = try await withThrowingTaskGroup(of: String?.self) { group in
                    for racer in 0..<64 {
                        let store = racer % 2 == 0 ? redis.store : other
                        group.addTask {
                            let wins = try await store.lease(
                                "t:s", member: "\(round)/\(racer)", limit: 3, timeToLive: .seconds(600))
                            return wins ? "\(round)/\(racer)" : nil
                        }
                    }
                    return try await group.reduce(into: []) { if let winner = $1 { $0.append(winner) } }
                }
                #expect(winners.count == 1)
                #expect(try await other.count("t:s") == 3)
                for winner in winners { try await other.release("t:s", member: winner) }
            }
            await other.stop()
        }
    }

    // MARK: - When Redis is not as it should be

    @Test("a start says what is wrong, and no password with it")
    func start() async throws {
        let nobody = try RedisStore.watched("url: redis://127.0.0.1:\(freePort())")
        await nobody.stop()
        var error = await #expect(throws: (any Error).self) { try await nobody.start() }
        #expect(error.map { "\($0)" }?.hasSuffix("cannot be reached: Connection refused") == true)

        let replica = try await RedisServer(["--replicaof", "127.0.0.1", "1"])
        let onReplica = try RedisFixture.store(replica)
        error = await #expect(throws: (any Error).self) { try await onReplica.start() }
        #expect(error.map { "\($0)" }?.contains("refuses: READONLY") == true)

        let nodes = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).conf")
        defer { try? FileManager.default.removeItem(at: nodes) }
        let cluster = try await RedisServer([
            "--cluster-enabled", "yes", "--cluster-config-file", nodes.path,
            // Its default, 10 000 more than the other, is no port where that one is over 55 535.
            "--cluster-port", "\(freePort())",
        ])
        let onCluster = try RedisFixture.store(cluster)
        error = await #expect(throws: (any Error).self) { try await onCluster.start() }
        #expect(error.map { "\($0)" }?.contains("is in cluster mode") == true)

        let locked = try await RedisServer(["--requirepass", "sesame-of-the-gateway"])
        let stranger = try RedisStore.watched(
            "{ url: \"redis://127.0.0.1:\(locked.port)\", password: { env: PASSWORD } }",
            environment: ["PASSWORD": "open"])
        error = await #expect(throws: (any Error).self) { try await stranger.start() }
        #expect(error.map { "\($0)" }?.contains("does not take the user name and password") == true)
        let known = try RedisStore.watched(
            "{ url: \"redis://127.0.0.1:\(locked.port)\", password: { env: PASSWORD } }",
            environment: ["PASSWORD": "sesame-of-the-gateway"])
        try await known.start()
        await known.stop()
        await #expect(throws: RedisError.self) { try await known.get("t:a") }
    }

    @Test(
        "settings that do not go together are found, and an address with a password in it is not shown",
        arguments: [
            ("url: redis://ada:sesame@a", "do not belong into the address"),
            ("url: http://a", "redis:// or rediss:// URL"),
            ("url: redis://a/x", "write redis://HOST:PORT/DATABASE"),
            ("{ url: redis://a, username: ada }", "a user without a `password`"),
            ("{ url: redis://a, trust_roots: /nowhere }", "write rediss:"),
            ("{ url: rediss://a, trust_roots: /nowhere }", "cannot trust /nowhere"),
            ("{ url: redis://a, timeout: 10ms }", "50ms to 10s"), ("{}", "missing key 'url'"),
        ])
    func settings(yaml: String, text: String) {
        let error = #expect(throws: (any Error).self) { try RedisStore.watched(yaml) }
        let description = error.map { "\($0)" } ?? ""
        #expect(description.contains(text) && !description.contains("sesame"), "\(description)")
    }

    @Test("while Redis is away every operation fails, soon, and afterwards none does")
    func away() async throws {
        try await RedisFixture.with("timeout: 500ms") { redis in
            let store = redis.store
            for away in [{ redis.server.kill() }, { redis.server.pause() }] {
                away()
                let begun = ContinuousClock.now
                await #expect(throws: RedisError.self) { try await store.get("t:a") }
                await #expect(throws: RedisError.self) { try await store.set("t:a", [1], timeToLive: nil) }
                await #expect(throws: RedisError.self) { try await store.add("t:a", [1], timeToLive: nil) }
                await #expect(throws: RedisError.self) { try await store.take("t:a") }
                await #expect(throws: RedisError.self) { try await store.keys(startingWith: "t:", limit: 1) }
                await #expect(throws: RedisError.self) { try await store.increment("t:a", limit: 1) }
                await #expect(throws: RedisError.self) { try await store.counter("t:a") }
                await #expect(throws: RedisError.self) {
                    try await store.share("t:a", member: "a", .settle(1), timeToLive: .seconds(1))
                }
                await #expect(throws: RedisError.self) {
                    try await store.lease("t:a", member: "a", limit: 1, timeToLive: .seconds(1))
                }
                await #expect(throws: RedisError.self) { try await store.release("t:a", member: "a") }
                await #expect(throws: RedisError.self) { try await store.count("t:a") }
                // Eleven of them, and the time of three.
                #expect(.now - begun < .milliseconds(500 + 10 * 100 + 2_000))
                redis.server.resume()
                if !redis.server.isRunning { try await redis.server.start() }
                try await redis.eventually { (try? await store.count("t:b")) == 0 }
                #expect(try await store.lease("t:s", member: "a", limit: 1, timeToLive: .seconds(60)))
            }
        }
    }

    @Test("a replica's refusal is an error, and when it is the master again all is well")
    func readOnly() async throws {
        try await RedisFixture.with { redis in
            _ = try await redis.raw.send(RedisCommand("REPLICAOF", "127.0.0.1", "1"))
            let error = await #expect(throws: RedisError.self) {
                try await redis.store.lease("t:s", member: "a", limit: 1, timeToLive: .seconds(60))
            }
            #expect(error?.code == "READONLY")
            #expect(try await redis.store.count("t:s") == 0)
            // That is no limit.
            let other = await #expect(throws: RedisError.self) { try await redis.store.increment("t:n", limit: 9) }
            #expect(other?.code == "READONLY")
            let third = await #expect(throws: RedisError.self) {
                try await redis.store.share("t:m", member: "a", .draw(upTo: 1, limit: 9), timeToLive: .seconds(60))
            }
            #expect(third?.code == "READONLY")
            _ = try await redis.raw.send(RedisCommand("REPLICAOF", "NO", "ONE"))
            #expect(try await redis.store.lease("t:s", member: "a", limit: 1, timeToLive: .seconds(60)))
        }
    }

    /// A quota that counts in Redis, and how it admits a call.
    private struct Seats {
        let quota: ConcurrencyQuota

        init(_ redis: RedisFixture, limit: Int) throws {
            quota = try ConcurrencyQuota.watched(
                "{ limit: \(limit), store: shared }", stores: ["shared": redis.store])
        }

        func admit(_ call: String) async throws -> Lease? {
            let request = CallRequest(
                callID: call, tenant: "acme", principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1)
            return if case .admit(let lease) = try await quota.admit(request) { lease } else { nil }
        }

        func release(_ lease: Lease) async {
            await quota.release(lease, usage: CallUsage(duration: .zero))
        }
    }

    @Test("when Redis has forgotten everything, the calls that live are counted again by their renewals")
    func flushed() async throws {
        try await RedisFixture.with { redis in
            let seats = try Seats(redis, limit: 2)
            let leases = [try await seats.admit("a"), try await seats.admit("b")].compactMap(\.self)
            #expect(leases.count == 2)
            #expect(try await seats.admit("c") == nil)
            _ = try await redis.raw.send(RedisCommand("FLUSHALL"))
            // In the moment before the renewals there is room.
            let third = try #require(try await seats.admit("c"))
            for lease in leases + [third] { try await seats.quota.renew(lease) }
            #expect(try await redis.store.count("concurrency:concurrency:acme") == 3)
            await seats.release(leases[0])
            #expect(try await seats.admit("d") == nil)
            await seats.release(leases[1])
            #expect(try await seats.admit("d") != nil)
        }
    }

    @Test("a seat that was asked for in vain is nobody's when Redis goes on")
    func inVain() async throws {
        try await RedisFixture.with("timeout: 500ms") { redis in
            let seats = try Seats(redis, limit: 1)
            await seats.release(try #require(try await seats.admit("first")))
            redis.server.pause()
            await #expect(throws: RedisError.self) { try await seats.admit("second") }
            redis.server.resume()
            // Sooner than the 30 s after which it would be free in any case.
            try await redis.eventually { (try? await seats.admit("third")) ?? nil != nil }
        }
    }
}
