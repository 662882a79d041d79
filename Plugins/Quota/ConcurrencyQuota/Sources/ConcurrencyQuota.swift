internal import Logging
public import PatchbayPlugin

/// Lets each tenant, user or embed token have a number of calls at the same time.
///
/// Counts in memory, or in a store when one is named, which several gateways may share. There a seat that is not
/// renewed falls free, so that a gateway that crashed gives its seats back.
public struct ConcurrencyQuota: QuotaPlugin {
    public static let type = "concurrency"
    public static let summary = "Limits how many calls a tenant, a user or an embed page has at the same time."
    public static let timing = QuotaTiming.newCall

    /// How many, and where they are counted.
    public struct Settings: PluginSettings {
        @Field("How many calls at the same time each of those may have whom `per` names", in: 0...1_000_000)
        public var limit: Int

        @Field("Who has the limit to himself: each tenant, user or embed_token; or the instance, for all its tenants")
        public var per: QuotaScope = .tenant

        @Field("The store to count in; without one each gateway counts for itself")
        public var store: StoreReference?

        @Field(
            "How long a call in the store counts when its gateway no longer renews it",
            in: .seconds(3) ... .seconds(3600))
        public var timeToLive: Duration = .seconds(25)

        /// Makes the default settings.
        public init() {}
    }

    private let name: String
    private let limit: Int
    private let per: QuotaScope
    private let timeToLive: Duration
    private let store: (any StorePlugin)?
    private let seats: Seats
    /// Seats that the store may have for a call which does not want them any more.
    private let errands = Errands()
    private let context: PluginContext

    /// Makes a quota.
    ///
    /// - Throws: a ``SettingsFault`` when there is no such store.
    public init(settings: Settings, context: PluginContext) throws {
        name = context.name
        limit = settings.limit
        per = settings.per
        timeToLive = settings.timeToLive
        store = try settings.store.map { try context.store($0) }
        // Calls that began under another limit have their seats all the same.
        seats = (context.former as? ConcurrencyQuota)?.seats ?? Seats()
        self.context = context
    }

    /// Tells the store once more which seats it has not taken back yet.
    public func stop() async {
        await errands.finish()
    }

    public func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        guard let lease = try await take(request, limit: limit) else {
            return .deny(Denial(code: "concurrency_limit_exceeded", message: "Concurrent call limit reached"))
        }
        return .admit(lease)
    }

    /// Beyond the limit where it must be.
    public func count(_ call: CallRequest) async throws -> Lease? {
        try await take(call, limit: .max)
    }

    private func take(_ request: CallRequest, limit: Int) async throws -> Lease? {
        // Without a seat to give back, since `Seat` does not read that id.
        guard let holder = per.holder(of: request) else { return Lease(id: request.callID) }
        let seat = Seat(holder: holder, call: request.callID)
        guard let store else { return seats.take(seat, limit: limit) ? Lease(id: seat.id) : nil }
        return try await take(seat, store, limit: limit) ? Lease(id: seat.id, timeToLive: timeToLive) : nil
    }

    private func take(_ seat: Seat, _ store: any StorePlugin, limit: Int) async throws -> Bool {
        errands.drop(seat.id)
        do {
            return try await store.lease(set(seat.holder), member: seat.call, limit: limit, timeToLive: timeToLive)
        } catch {
            // It may be entered all the same, now or when the store goes on; nobody has that seat.
            giveBackLater(seat, store)
            throw error
        }
    }

    /// Tries until the store takes a seat back, or the seat is wanted again, or has ended by itself. What the store was asked
    /// before it stood still it may do much later, and the seat would count from then on.
    private func giveBackLater(_ seat: Seat, _ store: any StorePlugin) {
        errands.run(seat.id, for: timeToLive) { try await store.release(set(seat.holder), member: seat.call) }
    }

    /// Keeps the seat. One that is gone, because the store forgot it or could not be asked in time, is entered again; where
    /// others have taken all of them, beyond the limit, so that no further call comes in before there are fewer.
    public func renew(_ lease: Lease) async throws {
        guard let store, let seat = Seat(id: lease.id) else { return }
        if try await store.lease(set(seat.holder), member: seat.call, limit: limit, timeToLive: timeToLive) { return }
        context.logger.warning(
            "a live call had lost its seat, and the others are taken: it counts beyond the limit",
            metadata: ["call.id": "\(seat.call)"])
        _ = try await store.lease(set(seat.holder), member: seat.call, limit: .max, timeToLive: timeToLive)
    }

    public func usage(of call: CallRequest) async throws -> QuotaUsage? {
        guard let holder = per.holder(of: call) else { return nil }
        let used = try await store?.count(set(holder)) ?? seats.count(of: holder)
        return QuotaUsage(holder: holder, unit: .calls, used: used, limit: limit)
    }

    public func release(_ lease: Lease, usage: CallUsage) async {
        guard let seat = Seat(id: lease.id) else { return }
        guard let store else { return seats.give(seat) }
        do {
            try await store.release(set(seat.holder), member: seat.call)
        } catch {
            context.logger.warning(
                "the store did not take a seat back; trying again until its time is over",
                metadata: ["call.id": "\(seat.call)", "error": "\(error)"])
            giveBackLater(seat, store)
        }
    }

    private func set(_ holder: String) -> String { "\(Self.type):\(name):\(holder)" }
}
