internal import PatchbayPlugin
internal import Synchronization

/// How much the endpoint is asked: so many questions at once, an eighth of them for callers of one network, and so many
/// that it refuses in a minute, for each network. Whoever makes credentials up is told off here, and keeps nobody out.
final class QuestionLimits: Sendable {
    private struct Open {
        var all = 0
        var byNetwork: [String: Int] = [:]
    }

    private let capacity: Int
    private let refusals: RateLimit
    private let open = Mutex(Open())

    init(atOnce capacity: Int, refusalsPerMinute: Int) {
        self.capacity = capacity
        refusals = RateLimit(perMinute: refusalsPerMinute)
    }

    /// Counts a question until `leave`, unless it is one too many.
    func enter(_ network: String, now: Duration) -> Bool {
        guard refusals.hasRoom(network, now: now) else { return false }
        return open.withLock { open in
            let ofNetwork = open.byNetwork[network, default: 0]
            guard open.all < capacity, ofNetwork < max(1, capacity / 8) else { return false }
            open.all += 1
            open.byNetwork[network] = ofNetwork + 1
            return true
        }
    }

    func leave(_ network: String) {
        open.withLock { open in
            open.all -= 1
            let rest = open.byNetwork[network, default: 1] - 1
            open.byNetwork[network] = rest > 0 ? rest : nil
        }
    }

    /// The endpoint has refused a question that was open.
    func countRefusal(_ network: String, now: Duration) {
        _ = refusals.admit(network, now: now)
    }
}
