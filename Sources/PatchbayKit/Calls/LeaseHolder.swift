import Logging
import PatchbayPlugin
import Synchronization

/// The leases of one call, from its admission to its end.
struct LeaseHolder: Sendable {
    private struct Held: Sendable {
        var quota: Tenant.Quota
        var lease: Lease
    }

    /// A quota that let the call in without counting it, and the question that it could not answer.
    private struct Uncounted: Sendable {
        var quota: Tenant.Quota
        var request: CallRequest
        var environment: CallSupervisor.Environment
    }

    /// What such quotas gave later, one lease each; nil when the call is over.
    private final class LateLeases: Sendable {
        private let held = Mutex<[Held]?>([])

        /// - Returns: the lease that is held, which is an earlier one where there is; nil where the call is over.
        func keep(_ new: Held) -> (held: Held, isNew: Bool)? {
            held.withLock { held in
                guard let current = held else { return nil }
                if let earlier = current.first(where: { $0.quota.name == new.quota.name }) { return (earlier, false) }
                held = current + [new]
                return (new, true)
            }
        }

        func lease(of quota: Tenant.Quota) -> Held? {
            held.withLock { $0?.first { $0.quota.name == quota.name } }
        }

        /// There will be no more.
        func close() -> [Held] {
            held.withLock { held in
                defer { held = nil }
                return held ?? []
            }
        }
    }

    private var held: [Held] = []
    private var uncounted: [Uncounted] = []
    private let late = LateLeases()
    private let patience: Duration

    /// - Parameter patience: after which a quota is asked again that let a live call in without counting it.
    init(patience: Duration = .seconds(10)) {
        self.patience = patience
    }

    /// Asks more quotas. When one denies, everything held is given back.
    mutating func admit(
        _ request: CallRequest, _ quotas: [Tenant.Quota], _ environment: CallSupervisor.Environment
    ) async throws(Refusal) {
        for quota in quotas {
            var denial: Denial
            switch await Self.ask(quota, request, environment.logger) {
            case .admit(let lease):
                held.append(Held(quota: quota, lease: lease))
                environment.registry.leases.add(1, ordering: .relaxed)
                continue
            case nil where quota.admitsWhenUnavailable:
                uncounted.append(Uncounted(quota: quota, request: request, environment: environment))
                continue
            case nil: denial = quota.timing == .newCall ? .noRoom : .quotaUnknown
            case .deny(let reason): denial = reason
            }
            await release(usage: CallUsage(duration: .zero), environment)
            (held, uncounted) = ([], [])
            denial.quota = quota.name
            throw .denied(denial)
        }
    }

    /// Asks quotas again for a live call, which goes on either way. What is admitted that the call cannot hold, because it has
    /// another lease of that quota or is over, is given back at once.
    ///
    /// - Throws: the `Denial`.
    func recheck(
        _ request: CallRequest, _ quotas: [Tenant.Quota], isOver: () -> Bool, logger: Logger
    ) async throws(Denial) {
        for quota in quotas {
            switch await Self.ask(quota, request, logger) {
            case .deny(var denial):
                denial.quota = quota.name
                throw denial
            case .admit(let lease):
                let isHeld = held.contains { $0.quota.name == quota.name && $0.lease.id == lease.id }
                if isHeld || adopt(lease, quota), !isOver() { continue }
                await quota.plugin.release(lease, usage: CallUsage(duration: .zero))
            case nil where quota.admitsWhenUnavailable: continue
            case nil:
                var denial = Denial.quotaUnknown
                denial.quota = quota.name
                throw denial
            }
        }
    }

    /// Keeps what a quota gives that could not tell when the call came.
    private func adopt(_ lease: Lease, _ quota: Tenant.Quota) -> Bool {
        guard let question = uncounted.first(where: { $0.quota.name == quota.name }) else { return false }
        return keep(lease, question)?.lease.id == lease.id
    }

    /// - Returns: the late lease of that quota, this or an earlier one; nil where the call is over.
    private func keep(_ lease: Lease, _ question: Uncounted) -> Held? {
        guard let (kept, isNew) = late.keep(Held(quota: question.quota, lease: lease)) else { return nil }
        if isNew { question.environment.registry.leases.add(1, ordering: .relaxed) }
        return kept
    }

    /// nil when the quota could not tell.
    private static func ask(_ quota: Tenant.Quota, _ request: CallRequest, _ logger: Logger) async -> QuotaOutcome? {
        do {
            return try await quota.plugin.admit(request)
        } catch {
            logger.warning(
                "quota could not tell",
                metadata: ["tenant": "\(request.tenant)", "quota": "\(quota.name)", "error": "\(error)"])
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

    /// Renews what expires, each at a third of its time, until cancelled; and has a call counted that could not be when it
    /// came. Of a quota that denies a renewal no more is asked.
    func keepAlive(logger: Logger, onDenial: @escaping @Sendable (Denial) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for held in held { group.addTask { await Self.keepAlive(held, logger, onDenial) } }
            for question in uncounted {
                group.addTask {
                    if let held = await count(question, logger) { await Self.keepAlive(held, logger, onDenial) }
                }
            }
        }
    }

    private static func keepAlive(
        _ held: Held, _ logger: Logger, _ onDenial: @Sendable (Denial) -> Void
    ) async {
        guard let timeToLive = held.lease.timeToLive else { return }
        while true {
            do { try await Task.sleep(for: timeToLive / 3) } catch { return }
            do {
                try await held.quota.plugin.renew(held.lease)
            } catch let denial as Denial {
                logger.info(
                    "a quota ends the call", metadata: ["quota": "\(held.quota.name)", "code": "\(denial.code)"])
                return onDenial(denial)
            } catch {
                logger.warning("lease not renewed", metadata: ["quota": "\(held.quota.name)", "error": "\(error)"])
            }
        }
    }

    /// Asks until there is a lease.
    private func count(_ question: Uncounted, _ logger: Logger) async -> Held? {
        while true {
            do { try await Task.sleep(for: patience) } catch { return nil }
            do {
                // The caller may have offered again, and been counted by that.
                if let counted = late.lease(of: question.quota) { return counted }
                guard let lease = try await question.quota.plugin.count(question.request) else { continue }
                let kept = keep(lease, question)
                if kept?.lease.id != lease.id {
                    await question.quota.plugin.release(lease, usage: CallUsage(duration: .zero))
                }
                return kept
            } catch {
                logger.warning(
                    "a call is not counted yet", metadata: ["quota": "\(question.quota.name)", "error": "\(error)"])
            }
        }
    }

    /// The call is over, or was never one. Call it once.
    func release(usage: CallUsage, _ environment: CallSupervisor.Environment) async {
        for held in held + late.close() {
            await held.quota.plugin.release(held.lease, usage: usage)
            environment.registry.leases.subtract(1, ordering: .relaxed)
        }
    }
}
