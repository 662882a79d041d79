internal import Logging
public import PatchbayPlugin
internal import Synchronization

/// Limits how long each tenant, user or embed page talks in a day, a week or a month.
///
/// Time is taken from a counter in a store before it is used: some when a call is admitted, and more with each renewal, until
/// there is none and a renewal is denied. What is left over is given back at a call's end. After a crash the count is ahead
/// by what was taken and not used, at most `reserve` a call.
public final class CallMinutesQuota: QuotaPlugin {
    public static let type = "call_minutes"
    public static let summary = "Limits how long a tenant, a user or an embed page talks in a day, a week or a month."
    public static let timing = QuotaTiming.everyOffer

    /// How much, for whom, and where it is counted.
    public struct Settings: PluginSettings {
        @Field("How much there is to talk in each period, such as 600m", in: .seconds(1) ... .seconds(3_155_760_000))
        public var limit: Duration

        @Field("When there is as much again: each day, week or month by the calendar of UTC, or as often as 12h says")
        public var period: Period = .month

        @Field("Who has the limit to himself: each tenant, user or embed_token; or the instance, for all its tenants")
        public var per: QuotaScope = .tenant

        @Field("The store to count in; what is in `memory` is forgotten when the gateway stops")
        public var store: StoreReference

        @Field(
            "How much a call takes in advance, again and again; what is lost of it when a gateway crashes",
            in: .seconds(3) ... .seconds(3_600))
        public var reserve: Duration = .seconds(30)

        /// Makes the default settings.
        public init() {}
    }

    private let settings: Settings
    private let store: any StorePlugin
    private let context: PluginContext
    /// By call.
    private let tabs = Mutex<[String: Tab]>([:])
    /// What the store has not been told yet of calls that are over, and of such as came to nothing.
    private let errands = Errands()
    /// For how long it is told again: after that it has done what it was asked before, or forgotten it.
    private static let patience = Duration.seconds(3_600)
    /// Less than this is not worth a call, in milliseconds.
    private static let least = 1_000

    /// Makes a quota.
    ///
    /// - Throws: a ``SettingsFault`` when there is no such store.
    public init(settings: Settings, context: PluginContext) throws {
        self.settings = settings
        store = try context.store(settings.store)
        self.context = context
    }

    /// Tells the store once more what it has not taken yet.
    public func stop() async {
        await errands.finish()
    }

    public func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        guard let holder = settings.per.holder(of: request) else { return .admit(Lease(id: request.callID)) }
        if let tab = tabs.withLock({ $0[request.callID] }) { return .admit(lease(request.callID, tab)) }
        let tab = try await open(holder)
        guard tab.taken >= Self.least else {
            if tab.taken > 0 { settleLater(tab.counter, 0) }
            return .deny(tab.counter.denial)
        }
        return .admit(enter(request.callID, tab))
    }

    /// Beyond the limit where it must be: its first renewals take what there is, or end it.
    public func count(_ call: CallRequest) async throws -> Lease? {
        guard let holder = settings.per.holder(of: call) else { return Lease(id: call.callID) }
        if let tab = tabs.withLock({ $0[call.callID] }) { return lease(call.callID, tab) }
        return enter(call.callID, try await open(holder))
    }

    /// Takes a call's first minutes. A call that comes to nothing, because the store does not answer, has taken none in the
    /// end.
    private func open(_ holder: String) async throws -> Tab {
        let now = context.wallClock()
        let counter = counter(of: holder, at: now)
        do {
            let (taken, left) = try await counter.take(settings.reserve.milliseconds, at: now)
            return Tab(counter: counter, longest: taken + left, taken: taken, seen: now)
        } catch {
            settleLater(counter, 0)
            throw error
        }
    }

    private func enter(_ call: String, _ tab: Tab) -> Lease {
        let kept = tabs.withLock { tabs in
            let kept = tabs[call] ?? tab
            tabs[call] = kept
            return kept
        }
        // It was asked twice at the same time.
        if kept.counter.member != tab.counter.member { settleLater(tab.counter, 0) }
        return lease(call, kept)
    }

    public func renew(_ lease: Lease) async throws {
        let now = context.wallClock()
        let current = tabs.withLock { tabs in
            tabs[lease.id]?.pass(until: now, atMost: settings.reserve)
            return tabs[lease.id]
        }
        guard let tab = current else { return }
        let wanted = tab.used + settings.reserve.milliseconds
        guard wanted > tab.taken else { return }
        let taken = try await tab.counter.take(wanted, at: now).taken
        tabs.withLock { $0[lease.id]?.taken = taken }
        if tab.used >= taken { throw tab.counter.denial }
    }

    public func usage(of call: CallRequest) async throws -> QuotaUsage? {
        guard let holder = settings.per.holder(of: call) else { return nil }
        let counter = counter(of: holder, at: context.wallClock())
        return QuotaUsage(
            holder: holder, unit: .seconds, used: try await store.counter(counter.key) / 1_000,
            limit: settings.limit.milliseconds / 1_000, renewal: counter.end)
    }

    public func release(_ lease: Lease, usage: CallUsage) async {
        guard let tab = tabs.withLock({ $0.removeValue(forKey: lease.id) }) else { return }
        // A client that offers again just when its call ends has the lease given back first as one of a call that never was.
        let used = max(usage.duration.milliseconds, tab.used)
        do {
            try await tab.counter.settle(used, at: context.wallClock())
        } catch {
            context.logger.warning(
                "the store did not take a call's end; trying again, and until then its minutes are counted in advance",
                metadata: ["call.id": "\(lease.id)", "error": "\(error)"])
            settleLater(tab.counter, used)
        }
    }

    /// What the store was asked before it stood still it may do much later: but not when this is settled.
    private func settleLater(_ counter: MinuteCounter, _ used: Int) {
        errands.run(counter.member, for: Self.patience) { [wallClock = context.wallClock] in
            try await counter.settle(used, at: wallClock())
        }
    }

    private func lease(_ call: String, _ tab: Tab) -> Lease {
        Lease(id: call, timeToLive: settings.reserve, maximumDuration: .milliseconds(tab.longest))
    }

    private func counter(of holder: String, at now: Duration) -> MinuteCounter {
        let (start, end) = settings.period.containing(now)
        let period = "\(settings.period.text):\(start.components.seconds)"
        return MinuteCounter(
            store: store, key: "\(Self.type):\(context.name):\(period):\(holder)",
            member: String(UInt64.random(in: 0...UInt64.max), radix: 16), limit: settings.limit.milliseconds, end: end)
    }
}

/// What one call has taken, and used of it, in milliseconds.
private struct Tab {
    let counter: MinuteCounter
    /// How long the call may last, which is what was left when it began.
    let longest: Int
    /// As far as the store has said.
    var taken: Int
    /// As far as renewals have seen it pass.
    var used = 0
    /// When the last of them was, by the wall clock.
    var seen: Duration

    init(counter: MinuteCounter, longest: Int, taken: Int, seen: Duration) {
        (self.counter, self.longest, self.taken, self.seen) = (counter, longest, taken, seen)
    }

    /// The wall clock may be put forward or back, and a call begins a little after its admission.
    mutating func pass(until now: Duration, atMost most: Duration) {
        let passed = min(max(now - seen, .zero), used == 0 ? most / 3 : most)
        used += passed.milliseconds
        seen = now
    }
}
