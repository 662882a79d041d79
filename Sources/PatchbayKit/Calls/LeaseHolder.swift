import Logging
import PatchbayPlugin
import Synchronization

/// The leases of one call, from its admission to its end.
struct LeaseHolder: Sendable {
    private struct Held: Sendable {
        var quota: Tenant.Quota
        var lease: Lease
    }

    private var held: [Held] = []

    /// Asks every quota of the tenant; when one denies, what the others gave is given back.
    ///
    /// - Throws: the `Denial`.
    static func admit(
        _ request: CallRequest, quotas: [Tenant.Quota], registry: CallRegistry, logger: Logger
    ) async throws(Denial) -> LeaseHolder {
        var holder = LeaseHolder()
        for quota in quotas {
            switch await ask(quota, request, logger) {
            case .admit(let lease):
                holder.held.append(Held(quota: quota, lease: lease))
                registry.leases.add(1, ordering: .relaxed)
            case .deny(let denial):
                await holder.release(usage: CallUsage(duration: .zero), registry: registry)
                throw denial
            case nil where quota.admitsWhenUnavailable: continue
            case nil:
                await holder.release(usage: CallUsage(duration: .zero), registry: registry)
                throw Denial(
                    code: "quota_check_failed", message: "Could not verify the call's quota. Please try again.")
            }
        }
        return holder
    }

    /// Asks the quotas that the call holds leases of again. One that cannot tell does not end a live call.
    ///
    /// - Parameter isOver: whether the call has ended meanwhile: what is admitted then is given back at once.
    /// - Throws: the `Denial`.
    func recheck(
        _ request: CallRequest, isOver: () -> Bool, logger: Logger
    ) async throws(Denial) {
        for held in held {
            switch await Self.ask(held.quota, request, logger) {
            case .deny(let denial): throw denial
            case .admit(let lease) where isOver():
                await held.quota.plugin.release(lease, usage: CallUsage(duration: .zero))
            case .admit, nil: continue
            }
        }
    }

    /// nil when the quota could not tell.
    private static func ask(_ quota: Tenant.Quota, _ request: CallRequest, _ logger: Logger) async -> QuotaOutcome? {
        do {
            return try await quota.plugin.admit(request)
        } catch {
            logger.warning("quota could not tell", metadata: ["quota": "\(quota.name)", "error": "\(error)"])
            return nil
        }
    }

    /// What the quotas want the pipeline to know; of two with one key the later quota's counts.
    var metadata: [String: String] {
        held.reduce(into: [:]) { $0.merge($1.lease.metadata) { _, later in later } }
    }

    /// The longest the call may last, where a quota says so.
    var maximumDuration: Duration? {
        held.compactMap(\.lease.maximumDuration).min()
    }

    /// Renews what expires, each at a third of its time, until cancelled.
    func keepAlive(logger: Logger) async {
        await withTaskGroup(of: Void.self) { group in
            for held in held {
                guard let timeToLive = held.lease.timeToLive else { continue }
                group.addTask {
                    while true {
                        do { try await Task.sleep(for: timeToLive / 3) } catch { return }
                        do {
                            try await held.quota.plugin.renew(held.lease)
                        } catch {
                            logger.warning(
                                "lease not renewed", metadata: ["quota": "\(held.quota.name)", "error": "\(error)"])
                        }
                    }
                }
            }
        }
    }

    /// The call is over. Call it once.
    func release(usage: CallUsage, registry: CallRegistry) async {
        for held in held {
            await held.quota.plugin.release(held.lease, usage: usage)
            registry.leases.subtract(1, ordering: .relaxed)
        }
    }
}
