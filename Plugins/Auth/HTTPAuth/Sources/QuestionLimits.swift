internal import PatchbayPlugin
internal import Synchronization

/// How much the endpoint is asked: so many questions at once, an eighth of them for callers of one network, and so many
/// that it refuses in a minute, for each network. Whoever makes credentials up is told off here, and keeps nobody out. Tenants
/// have all of that together, and none can use it up for the others.
final class QuestionLimits: Sendable {
    /// Whose question it is.
    struct Asker: Sendable {
        var tenant: String
        var network: String
        /// How many tenants share what there is.
        var tenantCount: Int

        var sharesWithOthers: Bool { tenantCount > 1 }
        // Names of tenants have no slash.
        var networkAtTenant: String { "\(tenant)/\(network)" }
    }

    private struct Open {
        var all: SharedRoom
        var byNetwork: [String: SharedRoom] = [:]
    }

    private let capacityOfNetwork: Int
    private let refusalsOfNetwork: RateLimit
    /// Of a network, at one tenant of several.
    private let refusalsAtTenant: RateLimit
    private let open: Mutex<Open>

    init(atOnce capacity: Int, refusalsPerMinute: Int) {
        capacityOfNetwork = max(1, capacity / 8)
        refusalsOfNetwork = RateLimit(perMinute: refusalsPerMinute)
        refusalsAtTenant = RateLimit(perMinute: max(1, refusalsPerMinute / 2))
        open = Mutex(Open(all: SharedRoom(capacity)))
    }

    /// Whether no question is open, and so nothing is kept of any.
    var isIdle: Bool { open.withLock { $0.all.isEmpty && $0.byNetwork.isEmpty } }

    /// Counts a question until `leave`, unless it is one too many.
    func enter(_ asker: Asker, now: Duration) -> Bool {
        guard refusalsOfNetwork.hasRoom(asker.network, now: now),
            !asker.sharesWithOthers || refusalsAtTenant.hasRoom(asker.networkAtTenant, now: now)
        else { return false }
        return open.withLock { open in
            var ofNetwork = open.byNetwork[asker.network] ?? SharedRoom(capacityOfNetwork)
            guard open.all.hasRoom(for: asker.tenant, of: asker.tenantCount),
                ofNetwork.hasRoom(for: asker.tenant, of: asker.tenantCount)
            else { return false }
            open.all.take(asker.tenant)
            ofNetwork.take(asker.tenant)
            open.byNetwork[asker.network] = ofNetwork
            return true
        }
    }

    func leave(_ asker: Asker) {
        open.withLock { open in
            open.all.giveBack(asker.tenant)
            guard var ofNetwork = open.byNetwork[asker.network] else { return }
            ofNetwork.giveBack(asker.tenant)
            open.byNetwork[asker.network] = ofNetwork.isEmpty ? nil : ofNetwork
        }
    }

    /// The endpoint has refused a question that was open. Of many that are refused at once, all count.
    func countRefusal(_ asker: Asker, now: Duration) {
        if asker.sharesWithOthers {
            // What is beyond a tenant's half is not taken from the others'.
            let isWithinHalf = refusalsAtTenant.hasRoom(asker.networkAtTenant, now: now)
            refusalsAtTenant.charge(asker.networkAtTenant, owingAtMost: capacityOfNetwork, now: now)
            guard isWithinHalf else { return }
        }
        refusalsOfNetwork.charge(asker.network, owingAtMost: capacityOfNetwork, now: now)
    }
}
