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

    /// Makes a quota.
    ///
    /// - Throws: a ``SettingsFault`` when there is no such store.
    public init(settings: Settings, context: PluginContext) throws {
        self.settings = settings
        store = try context.store(settings.store)
        self.context = context
    }

    public func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        guard let holder = settings.per.holder(of: request) else { return .admit(Lease(id: request.callID)) }
        if let tab = tabs.withLock({ $0[request.callID] }) { return .admit(lease(request.callID, tab)) }
        let now = context.wallClock()
        let counter = counter(of: holder, at: now)
        guard let (taken, left) = try await counter.take(settings.reserve.milliseconds, at: now) else {
            return .deny(counter.denial)
        }
        let tab = Tab(counter: counter, longest: taken + left, taken: taken, seen: now)
        let other = tabs.withLock { tabs -> Tab? in
            if let other = tabs[request.callID] { return other }
            tabs[request.callID] = tab
            return nil
        }
        // It was asked twice at the same time.
        if let other {
            try await counter.add(-taken, at: now)
            return .admit(lease(request.callID, other))
        }
        return .admit(lease(request.callID, tab))
    }

    public func renew(_ lease: Lease) async throws {
        let now = context.wallClock()
        let current = tabs.withLock { tabs in
            tabs[lease.id]?.pass(until: now, atMost: settings.reserve)
            return tabs[lease.id]
        }
        guard let tab = current else { return }
        let wanted = tab.used + settings.reserve.milliseconds - tab.taken
        guard wanted > 0 else { return }
        guard let (taken, _) = try await tab.counter.take(wanted, at: now) else {
            if tab.used >= tab.taken { throw tab.counter.denial }
            return
        }
        let isLive = tabs.withLock { tabs in
            tabs[lease.id]?.taken += taken
            return tabs[lease.id] != nil
        }
        if !isLive { try await tab.counter.add(-taken, at: now) }
    }

    public func release(_ lease: Lease, usage: CallUsage) async {
        guard let tab = tabs.withLock({ $0.removeValue(forKey: lease.id) }) else { return }
        // A client that offers again just when its call ends has the lease given back first as one of a call that never was.
        let used = max(usage.duration.milliseconds, tab.used)
        do {
            try await tab.counter.add(used - tab.taken, at: context.wallClock())
        } catch {
            context.logger.warning(
                "the store did not take a call's last seconds; what was taken for it in advance stays counted",
                metadata: ["call.id": "\(lease.id)", "error": "\(error)"])
        }
    }

    private func lease(_ call: String, _ tab: Tab) -> Lease {
        Lease(id: call, timeToLive: settings.reserve, maximumDuration: .milliseconds(tab.longest))
    }

    private func counter(of holder: String, at now: Duration) -> MinuteCounter {
        let (start, end) = settings.period.containing(now)
        let period = "\(settings.period.text):\(start.components.seconds)"
        return MinuteCounter(
            store: store, key: "\(Self.type):\(context.name):\(period):\(holder)", limit: settings.limit.milliseconds,
            end: end)
    }
}

/// What one call has taken, and used of it, in milliseconds.
private struct Tab {
    let counter: MinuteCounter
    /// How long the call may last, which is what was left when it began.
    let longest: Int
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
