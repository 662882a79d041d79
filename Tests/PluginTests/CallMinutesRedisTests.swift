import CallMinutesQuota
import PatchbayPlugin
import PatchbayTesting
import Redis
import TestSupport
import Testing

/// Time of calls is the test's; Redis has its own.
@Suite("Call minutes in Redis", .serialized, .enabled(if: RedisServer.isInstalled), .timeLimit(.minutes(5)))
struct CallMinutesRedisTests {
    private let clock = TestClock()

    private func quota(_ redis: RedisFixture) throws -> CallMinutesQuota {
        try CallMinutesQuota.watched(
            "{ store: shared, limit: 100h }", stores: ["shared": redis.store], clock: clock)
    }

    private func request(_ call: String) -> CallRequest {
        CallRequest(callID: call, tenant: "acme", principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1)
    }

    /// All that is counted, in seconds.
    private func counted(_ redis: RedisFixture) async throws -> Int? {
        let month = try #require(Timestamp.decode("2027-01-01")).sinceEpoch.components.seconds
        let key = "patchbay:counter:call_minutes:call_minutes:month:\(month):acme"
        return try await redis.integer("GET", .text(key)).map { $0 / 1_000 }
    }

    @Test("after Redis stood still a live call counts at most 30 s too much, and a refused one nothing")
    func standsStill() async throws {
        try await RedisFixture.with("timeout: 100ms") { redis in
            let quota = try quota(redis)
            let lease = try #require(try await quota.admit(request("live")).lease)
            redis.server.pause()
            for number in 0..<30 {
                clock.advance(by: .seconds(10))
                await #expect(throws: RedisError.self) { try await quota.renew(lease) }
                await #expect(throws: RedisError.self) { try await quota.admit(request("\(number)")) }
            }
            redis.server.resume()
            try await redis.eventually { (try? await quota.renew(lease)) != nil }
            await quota.stop()
            #expect(try await counted(redis) == 330)
            await quota.release(lease, usage: CallUsage(duration: .seconds(300)))
            #expect(try await counted(redis) == 300)
        }
    }

    @Test("a renewal that is cancelled by its call's end counts nothing when Redis carries it out later")
    func cancelled() async throws {
        try await RedisFixture.with("timeout: 500ms") { redis in
            let quota = try quota(redis)
            let lease = try #require(try await quota.admit(request("live")).lease)
            clock.advance(by: .seconds(10))
            redis.server.pause()
            let renewal = Task { try await quota.renew(lease) }
            try await Task.sleep(for: .milliseconds(50))
            renewal.cancel()
            await #expect(throws: (any Error).self) { try await renewal.value }
            await quota.release(lease, usage: CallUsage(duration: .seconds(10)))
            redis.server.resume()
            try await redis.eventually { try await counted(redis) == 10 }
            await quota.stop()
            #expect(try await counted(redis) == 10)
        }
    }

    @Test("when Redis has forgotten everything, live calls are counted again, with all that they have used")
    func killed() async throws {
        try await RedisFixture.with("timeout: 500ms") { redis in
            let quota = try quota(redis)
            let ended = try #require(try await quota.admit(request("ended")).lease)
            await quota.release(ended, usage: CallUsage(duration: .seconds(60)))
            let lease = try #require(try await quota.admit(request("live")).lease)
            for _ in 0..<6 {
                clock.advance(by: .seconds(10))
                try await quota.renew(lease)
            }
            #expect(try await counted(redis) == 150)
            redis.server.kill()
            clock.advance(by: .seconds(10))
            await #expect(throws: RedisError.self) { try await quota.renew(lease) }
            await #expect(throws: RedisError.self) { try await quota.admit(request("refused")) }
            try await redis.server.start()
            clock.advance(by: .seconds(10))
            try await redis.eventually { (try? await quota.renew(lease)) != nil }
            await quota.stop()
            // 80 s used and 30 s in advance. The test has a connection of its own, which is made again a little later.
            try await redis.eventually { (try? await counted(redis)) == 110 }
        }
    }
}
