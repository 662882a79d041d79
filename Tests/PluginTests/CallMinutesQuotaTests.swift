import CallMinutesQuota
import Foundation
import PatchbayPlugin
import PatchbayTesting
import SQLiteStore
import Synchronization
import TestSupport
import Testing

/// Time is the test's: 08:00 on Friday, 2027-01-15 UTC at first, whatever the store.
@Suite("Call minutes")
struct CallMinutesQuotaTests {
    private let clock = TestClock()
    private let store: MemoryStore

    init() {
        store = MemoryStore(clock: clock)
    }

    private static let noneLeft = "call_minutes_exceeded"

    private func quota(_ settings: String) throws -> CallMinutesQuota {
        try CallMinutesQuota.watched("{ store: shared, \(settings) }", stores: ["shared": store], clock: clock)
    }

    private func request(
        _ call: String, user: String = "7", tenant: String = "acme", token: String? = nil
    ) -> CallRequest {
        var principal = Principal(id: user, runOwner: token.map(RunOwner.embedToken))
        principal.authInstance = token == nil ? "users" : "embeds"
        return CallRequest(callID: call, tenant: tenant, principal: principal, workflowID: 1, workflowRunID: 1)
    }

    /// Lets a call go on as the host does: a renewal every 10 s, until it is over or may not go on.
    ///
    /// - Returns: how long it was.
    private func talk(_ quota: CallMinutesQuota, _ lease: Lease, for length: Duration) async throws -> Duration {
        var passed = Duration.zero
        while passed + .seconds(10) <= length {
            clock.advance(by: .seconds(10))
            passed += .seconds(10)
            do { try await quota.renew(lease) } catch is Denial { return passed }
        }
        clock.advance(by: length - passed)
        return length
    }

    /// What a new call could last.
    private func left(_ quota: CallMinutesQuota, _ request: CallRequest? = nil) async throws -> Duration? {
        guard let lease = try await quota.admit(request ?? self.request("look")).lease else { return nil }
        await quota.release(lease, usage: CallUsage(duration: .zero))
        return lease.maximumDuration
    }

    @Test("a call may last as long as there are minutes, and counts with what it was, to the millisecond")
    func counts() async throws {
        let quota = try quota("limit: 10m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        #expect(lease.maximumDuration == .seconds(600))
        #expect(lease.timeToLive == .seconds(30))
        #expect(try await talk(quota, lease, for: .milliseconds(125_250)) == .milliseconds(125_250))
        await quota.release(lease, usage: CallUsage(duration: .milliseconds(125_250)))
        #expect(try await left(quota) == .milliseconds(474_750))
    }

    @Test("a call that lasts as long as it may leaves nothing, and the next one is told when there is more")
    func usedUp() async throws {
        let quota = try quota("limit: 2m, period: day")
        let lease = try #require(try await quota.admit(request("one")).lease)
        #expect(try await talk(quota, lease, for: .seconds(120)) == .seconds(120))
        await quota.release(lease, usage: CallUsage(duration: .seconds(120)))
        #expect(
            try await quota.admit(request("two")).denial
                == Denial(
                    code: Self.noneLeft,
                    message: "No call minutes are left. There are new ones from 2027-01-16T00:00:00Z."))
    }

    @Test("a second release of the same call does nothing, even with another length")
    func doubleRelease() async throws {
        let quota = try quota("limit: 10m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        for length in [60, 60, 0, 600] { await quota.release(lease, usage: CallUsage(duration: .seconds(length))) }
        #expect(try await left(quota) == .seconds(540))
    }

    @Test("a call that offers again counts once, and keeps what it has when nothing is left")
    func renegotiation() async throws {
        let quota = try quota("limit: 1m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        _ = try await talk(quota, lease, for: .seconds(50))
        #expect(try await quota.admit(request("two")).lease == nil)
        #expect(try await quota.admit(request("one")).lease == lease)
        await quota.release(lease, usage: CallUsage(duration: .seconds(50)))
        #expect(try await left(quota) == .seconds(10))
    }

    @Test("an offer that comes to nothing costs nothing")
    func refused() async throws {
        let quota = try quota("limit: 1m")
        for call in 0..<20 {
            let lease = try #require(try await quota.admit(request("\(call)")).lease)
            await quota.release(lease, usage: CallUsage(duration: .zero))
        }
        #expect(try await left(quota) == .seconds(60))
    }

    @Test("who offers again just as his call ends, and so gives it back as if there had been none, pays for it")
    func releaseOfNoCall() async throws {
        let quota = try quota("limit: 10m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        _ = try await talk(quota, lease, for: .seconds(300))
        await quota.release(lease, usage: CallUsage(duration: .zero))
        await quota.release(lease, usage: CallUsage(duration: .seconds(300)))
        let rest = try #require(try await left(quota))
        #expect((.seconds(300) ... .seconds(310)).contains(rest), "\(rest)")
    }

    @Test("many calls at once end when together they have used the minutes, each at most a renewal too late")
    func manyAtOnce() async throws {
        let quota = try quota("limit: 10m")
        var live: [(lease: Lease, length: Duration)] = []
        for call in 0..<8 { live.append((try #require(try await quota.admit(request("\(call)")).lease), .zero)) }
        var total = Duration.zero
        for _ in 0..<100 where !live.isEmpty {
            clock.advance(by: .seconds(10))
            for index in live.indices.reversed() {
                live[index].length += .seconds(10)
                do {
                    try await quota.renew(live[index].lease)
                } catch let denial as Denial {
                    #expect(denial.code == Self.noneLeft)
                    let (lease, length) = live.remove(at: index)
                    await quota.release(lease, usage: CallUsage(duration: length))
                    total += length
                }
            }
        }
        #expect(live.isEmpty)
        #expect((.seconds(600) ... .seconds(680)).contains(total), "\(total)")
        #expect(try await quota.admit(request("late")).denial?.code == Self.noneLeft)
    }

    @Test("of many who want in at once no more come in than the minutes are enough for")
    func admissionRace() async throws {
        let quota = try quota("limit: 200s")
        let leases = try await withThrowingTaskGroup(of: Lease?.self) { group in
            for call in 0..<30 { group.addTask { try await quota.admit(request("\(call)")).lease } }
            return try await group.reduce(into: [Lease]()) { if let lease = $1 { $0.append(lease) } }
        }
        // Six take 30 s, one the rest.
        #expect(leases.count == 7)
        for lease in leases { await quota.release(lease, usage: CallUsage(duration: .zero)) }
        #expect(try await left(quota) == .seconds(200))
    }

    @Test(
        "there is as much again in the next period",
        arguments: [
            ("day", "2027-01-16"), ("week", "2027-01-18"), ("month", "2027-02-01"), ("6h", "2027-01-15T12:00:00Z"),
        ])
    func nextPeriod(period: String, start: String) async throws {
        let quota = try quota("limit: 1m, period: \(period)")
        let lease = try #require(try await quota.admit(request("one")).lease)
        await quota.release(lease, usage: CallUsage(duration: .seconds(60)))
        let next = try #require(Timestamp.decode(start)).sinceEpoch
        clock.advance(by: next - clock.now - .milliseconds(1))
        #expect(try await left(quota) == nil)
        clock.advance(by: .milliseconds(1))
        #expect(try await left(quota) == .seconds(60))
    }

    @Test("a call counts in the period in which it began, and takes nothing of the next")
    func acrossTheEnd() async throws {
        let quota = try quota("limit: 10m, period: day")
        clock.advance(by: .seconds(16 * 3_600 - 60))
        let lease = try #require(try await quota.admit(request("one")).lease)
        #expect(lease.maximumDuration == .seconds(600))
        #expect(try await talk(quota, lease, for: .seconds(300)) == .seconds(300))
        #expect(try await left(quota) == .seconds(600))
        await quota.release(lease, usage: CallUsage(duration: .seconds(300)))
        #expect(try await left(quota) == .seconds(600))
    }

    @Test("a count is forgotten a day after its period", arguments: [(2_399, 60_000), (2_400, 0)])
    func forgotten(minutes: Int, count: Int) async throws {
        let quota = try quota("limit: 10m, period: day")
        let lease = try #require(try await quota.admit(request("one")).lease)
        await quota.release(lease, usage: CallUsage(duration: .seconds(60)))
        let key = "call_minutes:call_minutes:day:\(1_800_000_000 - 8 * 3_600):acme"
        clock.advance(by: .seconds(minutes * 60))
        let look = CounterShare.Change.draw(upTo: 0, limit: 0)
        #expect(try await store.share(key, member: "look", look, timeToLive: .zero).count == count)
    }

    @Test("after a crash the minutes are those that were used, and at most 30 s a call more", arguments: [25, 30, 125])
    func crash(seconds: Int) async throws {
        let crashed = try quota("limit: 10m")
        let lease = try #require(try await crashed.admit(request("one")).lease)
        _ = try await talk(crashed, lease, for: .seconds(seconds))
        // Another process, with the same store, as far as it goes.
        let rest = try #require(try await left(quota("limit: 10m")))
        #expect((.seconds(600 - seconds - 30) ... .seconds(600 - seconds)).contains(rest), "\(rest)")
    }

    @Test("a store that stays knows the minutes after a restart")
    func restart() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).db").path
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        for length in [60, 120, 240] {
            let store = try SQLiteStore.watched("path: \(path)", clock: clock)
            try await store.start()
            let quota = try CallMinutesQuota.watched(
                "{ store: file, limit: 7m }", stores: ["file": store], clock: clock)
            let lease = try #require(try await quota.admit(request("\(length)")).lease)
            #expect(lease.maximumDuration == .seconds(480 - length))
            _ = try await talk(quota, lease, for: .seconds(length))
            await quota.release(lease, usage: CallUsage(duration: .seconds(length)))
            await store.stop()
        }
    }

    @Test("a wall clock that is put forward or back makes no call longer", arguments: [-86_400, 86_400])
    func clockChange(seconds: Int) async throws {
        let quota = try quota("limit: 10m, period: 366d")
        let lease = try #require(try await quota.admit(request("one")).lease)
        clock.advance(by: .seconds(seconds))
        for _ in 0..<6 {
            clock.advance(by: .seconds(10))
            try await quota.renew(lease)
        }
        await quota.release(lease, usage: CallUsage(duration: .seconds(60)))
        let rest = try #require(try await left(quota))
        #expect((.seconds(530) ... .seconds(540)).contains(rest), "\(rest)")
    }

    @Test(
        "each of those has the minutes to himself whom `per` names",
        arguments: [
            ("tenant", [60, 0, 0, 60, 0]), ("user", [60, 60, 60, 60, 0]), ("instance", [60, 0, 0, 0, 0]),
        ])
    func scopes(per: String, seconds: [Int]) async throws {
        let quota = try quota("limit: 1m, per: \(per)")
        let callers = [
            request("1"), request("2", user: "8"), request("3", token: "emb_a"), request("4", tenant: "other"),
            request("5"),
        ]
        for (caller, seconds) in zip(callers, seconds) {
            let lease = try await quota.admit(caller).lease
            #expect(lease?.maximumDuration == (seconds == 0 ? nil : .seconds(seconds)), "\(caller.callID)")
            if let lease { await quota.release(lease, usage: CallUsage(duration: .seconds(60))) }
        }
    }

    @Test("by embed token, visitors of a page share, and other callers are not concerned")
    func embedTokens() async throws {
        let quota = try quota("limit: 1m, per: embed_token")
        let visitor = try #require(try await quota.admit(request("1", token: "emb_a")).lease)
        await quota.release(visitor, usage: CallUsage(duration: .seconds(60)))
        #expect(try await quota.admit(request("2", user: "8", token: "emb_a")).lease == nil)
        #expect(try await quota.admit(request("3", token: "emb_b")).lease?.maximumDuration == .seconds(60))
        let other = try #require(try await quota.admit(request("4")).lease)
        #expect(other.maximumDuration == nil && other.timeToLive == nil)
        await quota.release(other, usage: CallUsage(duration: .seconds(3_600)))
        #expect(try await quota.admit(request("5")).lease != nil)
    }

    @Test("while the store is away nobody is admitted, and a live call goes on, to be counted when the store is back")
    func storeAway() async throws {
        let quota = try quota("limit: 10m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await quota.admit(request("two")) }
        for _ in 0..<12 {
            clock.advance(by: .seconds(10))
            await #expect(throws: Unreachable.self) { try await quota.renew(lease) }
        }
        await store.fail(with: nil)
        clock.advance(by: .seconds(10))
        try await quota.renew(lease)
        // 130 s used and 30 s in advance.
        #expect(try await left(quota) == .seconds(440))
        await quota.release(lease, usage: CallUsage(duration: .seconds(130)))
        #expect(try await left(quota) == .seconds(470))
    }

    @Test("when the store does not take a call's end, it is told again until it does")
    func releaseFails() async throws {
        let quota = try quota("limit: 10m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        await store.fail(with: Unreachable())
        await quota.release(lease, usage: CallUsage(duration: .seconds(5)))
        await store.fail(with: nil)
        // What is still to be told is told once more then.
        await quota.stop()
        #expect(try await left(quota) == .seconds(595))
    }

    @Test("while answers of the store are lost a live call counts at most 30 s too much, and a refused one nothing")
    func answersLost() async throws {
        // Room enough for what the refused ones have until the store is told that they came to nothing.
        let quota = try quota("limit: 60m")
        let lease = try #require(try await quota.admit(request("one")).lease)
        await store.fail(with: Unreachable(), carryingOut: true)
        for minute in 0..<5 {
            for renewal in 0..<6 {
                clock.advance(by: .seconds(10))
                await #expect(throws: Unreachable.self) { try await quota.renew(lease) }
                await #expect(throws: Unreachable.self) { try await quota.admit(request("\(minute) \(renewal)")) }
            }
        }
        await quota.stop()
        await store.fail(with: nil)
        #expect(try await left(quota) == .seconds(3600 - 300 - 30))
        try await quota.renew(lease)
        #expect(try await left(quota) == .seconds(3600 - 300 - 30))
        await quota.release(lease, usage: CallUsage(duration: .seconds(300)))
        #expect(try await left(quota) == .seconds(3600 - 300))
    }

    @Test("a renewal that the store carries out when the call is over counts nothing")
    func lateRenewal() async throws {
        let late = LateStore(store)
        let quota = try CallMinutesQuota.watched(
            "{ store: shared, limit: 10m }", stores: ["shared": late], clock: clock)
        let lease = try #require(try await quota.admit(request("one")).lease)
        clock.advance(by: .seconds(10))
        late.keepsBack.withLock { $0 = true }
        await #expect(throws: Unreachable.self) { try await quota.renew(lease) }
        await #expect(throws: Unreachable.self) { try await quota.admit(request("two")) }
        late.keepsBack.withLock { $0 = false }
        await quota.release(lease, usage: CallUsage(duration: .seconds(10)))
        await quota.stop()
        #expect(try await left(quota) == .seconds(590))
        #expect(try await late.carryOut() == 2)
        #expect(try await left(quota) == .seconds(590))
    }

    @Test("a call that was let in uncounted counts from then on, and with all of it at its end, beyond the limit too")
    func countedLater() async throws {
        let quota = try quota("limit: 1m")
        let lease = try #require(try await quota.count(request("one")))
        #expect(try await quota.count(request("one")) == lease)
        #expect(try await left(quota) == .seconds(30))
        #expect(try await talk(quota, lease, for: .seconds(40)) == .seconds(40))
        await quota.release(lease, usage: CallUsage(duration: .seconds(60)))
        #expect(try await left(quota) == nil)

        let beyond = try #require(try await quota.count(request("two")))
        #expect(try await talk(quota, beyond, for: .seconds(60)) == .seconds(10))
        await quota.release(beyond, usage: CallUsage(duration: .seconds(30)))
        let month = try #require(Timestamp.decode("2027-01-01")).sinceEpoch.components.seconds
        let key = "call_minutes:call_minutes:month:\(month):acme"
        let look = CounterShare.Change.draw(upTo: 0, limit: 0)
        #expect(try await store.share(key, member: "look", look, timeToLive: .seconds(60)).count == 90_000)
    }

    @Test("a call that the limit does not concern is not counted later either")
    func countedLaterByToken() async throws {
        let lease = try #require(try await quota("limit: 1m, per: embed_token").count(request("one")))
        #expect(lease == Lease(id: "one"))
    }

    @Test("does what every quota must")
    func conforms() async throws {
        try await PluginConformance.check(
            CallMinutesQuota.self, yaml: "{ limit: 10m, store: memory }", stores: ["memory": MemoryStore()],
            logger: .watched)
    }
}

/// A store that can be slow: what it is asked of shares then it keeps back, and answers nothing, until it is told to carry it
/// out.
private final class LateStore: StorePlugin {
    typealias Settings = MemoryStore.Settings
    static let type = "late"
    static let summary = ""

    let keepsBack = Mutex(false)
    private let store: MemoryStore
    private let kept = Mutex<[@Sendable () async throws -> Void]>([])

    init(_ store: MemoryStore) {
        self.store = store
    }

    init(settings: Settings, context: PluginContext) {
        store = MemoryStore(settings: settings, context: context)
    }

    /// - Returns: how many questions that were.
    func carryOut() async throws -> Int {
        let questions = kept.withLock(\.self)
        for question in questions { try await question() }
        return questions.count
    }

    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) {
        let ask = { @Sendable [store] in try await store.share(key, member: member, change, timeToLive: timeToLive) }
        guard keepsBack.withLock(\.self) else { return try await ask() }
        if case .draw = change { kept.withLock { $0.append { _ = try await ask() } } }
        throw Unreachable()
    }

    func get(_ key: String) async throws -> [UInt8]? { try await store.get(key) }
    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        try await store.set(key, value, timeToLive: timeToLive)
    }
    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        try await store.add(key, value, timeToLive: timeToLive)
    }
    func take(_ key: String) async throws -> [UInt8]? { try await store.take(key) }
    func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        try await store.keys(startingWith: prefix, limit: limit)
    }
    func increment(_ key: String, limit: Int) async throws -> Int? { try await store.increment(key, limit: limit) }
    func counter(_ key: String) async throws -> Int { try await store.counter(key) }
    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        try await store.lease(set, member: member, limit: limit, timeToLive: timeToLive)
    }
    func release(_ set: String, member: String) async throws { try await store.release(set, member: member) }
    func count(_ set: String) async throws -> Int { try await store.count(set) }
}
