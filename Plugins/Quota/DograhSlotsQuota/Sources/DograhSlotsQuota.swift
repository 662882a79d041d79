internal import Logging
public import PatchbayPlugin
internal import Redis
internal import Synchronization

/// Takes a slot for each call where Dograh takes its own, so that calls through the gateway and calls by telephone count
/// together.
///
/// It keeps Dograh's keys and order, with four differences that Dograh does not notice: a slot is renewed while its call
/// lives, so that calls may last longer than 1200 s; a slot is bound to its run in the same step in which it is taken; one
/// whose run is none of Dograh's is bound to none; and slots of a gateway that is gone are given back by whichever gateway
/// sees it first.
public final class DograhSlotsQuota: QuotaPlugin {
    public static let type = "dograh_slots"
    public static let summary = "Counts calls together with Dograh's own, in Dograh's Redis."
    public static let timing = QuotaTiming.newCall
    public static let canAlwaysTell = true
    /// What binds a run to its slot is one for all organisations.
    public let sharesRunNumbers = true

    /// A gateway that is gone has its slots for so long, and until somebody looks the next time: within 30 s in all.
    static let leaseLifetime = Duration.seconds(20)

    private let settings: Settings
    private let table: SlotTable
    private let context: PluginContext
    /// Slots that may have been taken though nobody has them.
    private let errands = Errands()
    private let reclaiming = Mutex<Task<Void, Never>?>(nil)

    /// Makes a quota.
    ///
    /// - Throws: a ``SettingsFault`` when the store is none, or none of Redis, and for names that cannot be.
    public init(settings: Settings, context: PluginContext) throws {
        try settings.check()
        guard let store = try context.store(settings.store) as? any RedisBacked else {
            throw SettingsFault("the store '\(settings.store.name)' is none of type redis", field: "store")
        }
        self.settings = settings
        self.context = context
        table = SlotTable(store, lifetime: Int(Self.leaseLifetime.components.seconds))
    }

    /// Begins to give back what gateways have left behind.
    public func start() async throws {
        let task = Task { [reclaimer = Reclaimer(table: table, logger: context.logger)] in await reclaimer.run() }
        reclaiming.withLock { $0 = task }
    }

    /// Stops that.
    public func stop() async {
        await errands.finish()
        let task = reclaiming.withLock { task in
            defer { task = nil }
            return task
        }
        task?.cancel()
        await task?.value
    }

    public func usage(of call: CallRequest) async throws -> QuotaUsage? {
        guard let organization = call.principal.organization ?? settings.organization, Slot.isOrganization(organization)
        else { return nil }
        return QuotaUsage(
            holder: organization, unit: .calls, used: try await table.calls(of: organization),
            limit: settings.limits[organization] ?? settings.limit)
    }

    /// Takes a slot. Where Redis does not say that there is one, there is none.
    public func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        guard let organization = request.principal.organization ?? settings.organization else {
            context.logger.warning("a caller without an organisation has no slots; `organization` can name one")
            return .deny(.noSlot)
        }
        guard Slot.isOrganization(organization) else {
            context.logger.warning("a caller's organisation cannot be one of Dograh's")
            return .deny(.noSlot)
        }
        let slot = Slot(
            organization: organization, run: dograhRun(of: request), scope: settings.scope?.name,
            now: context.wallClock(), random: .random(in: 0...UInt32.max))
        let limit = settings.limits[organization] ?? settings.limit
        let scopeLimit = settings.scope?.limit ?? 0
        do {
            switch try await table.acquire(slot, limit: limit, scopeLimit: scopeLimit) {
            case .taken(let calls):
                context.logger.info("slot taken", metadata: metadata(slot, ["active_calls": "\(calls)/\(limit)"]))
                return .admit(Lease(id: slot.entry, timeToLive: Self.leaseLifetime))
            case .full(let calls): return refuse("organization", organization, calls, limit)
            case .scopeFull(let calls): return refuse("scope", settings.scope?.name ?? "", calls, scopeLimit)
            case .bound: return .deny(.runBound)
            }
        } catch {
            context.logger.error(
                "no slot could be taken; the call is refused", metadata: metadata(slot, ["error": "\(error)"]))
            if (error as? RedisError)?.isUncertain != false { takeBack(slot) }
            return .deny(.noSlot)
        }
    }

    /// Embed pages get their runs from the gateway, which begins to count at 1 for each tenant: those are other runs than
    /// Dograh's of the same number.
    private func dograhRun(of request: CallRequest) -> Int? {
        switch request.principal.runOwner {
        case .embedToken: nil
        case .organization, .user: request.workflowRunID
        }
    }

    /// A slot that nobody has, though it may stand there all the same. What these attempts do not reach its lease ends.
    private func takeBack(_ slot: Slot) {
        errands.run(slot.entry, for: Self.leaseLifetime) { [table] in _ = try await table.release(slot) }
    }

    private func refuse(_ kind: String, _ name: String, _ calls: Int, _ limit: Int) -> QuotaOutcome {
        context.logger.info(
            "concurrent call limit reached", metadata: [kind: "\(name)", "active_calls": "\(calls)/\(limit)"])
        return .deny(.noSlot)
    }

    /// Moves the slot's time forward. One that is gone, because Redis forgot it or nobody could renew it in time, is entered
    /// again: its call lives, whatever the limit.
    public func renew(_ lease: Lease) async throws {
        guard let slot = Slot(entry: lease.id) else { return }
        if try await table.renew(slot, enters: false) { return }
        context.logger.warning("the slot of a live call was gone; it is entered again", metadata: metadata(slot))
        _ = try await table.renew(slot, enters: true)
    }

    /// Gives the slot back. Where Redis does not take it for so long that this gives up, it stays in the list, and is given
    /// back by whoever looks there when Redis is there again.
    public func release(_ lease: Lease, usage: CallUsage) async {
        guard let slot = Slot(entry: lease.id) else { return }
        do {
            if try await !table.release(slot) {
                context.logger.warning("a slot that was to be given back was gone", metadata: metadata(slot))
            }
        } catch {
            context.logger.warning(
                "Redis did not take a slot back; it is given back when Redis is there again",
                metadata: metadata(slot, ["error": "\(error)"]))
            takeBack(slot)
        }
    }

    private func metadata(_ slot: Slot, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
        slot.metadata.merging(more) { $1 }
    }
}

extension Denial {
    fileprivate static let noSlot = Denial(
        code: "concurrency_limit_exceeded", message: "Concurrent call limit reached")
    fileprivate static let runBound = Denial(
        code: "workflow_run_already_active", message: "Workflow run already has an active call")
}
