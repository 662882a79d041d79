internal import Synchronization

/// How fast sessions may start: for each token, so that nobody can spend its owner's calls in no time, and for each
/// address.
final class StartLimits: Sendable {
    private let limits: Mutex<(token: RateLimit, network: RateLimit)>

    init(perToken: Int, perAddress: Int) {
        limits = Mutex((RateLimit(perMinute: perToken), RateLimit(perMinute: perAddress)))
    }

    /// Counts one start, unless it is one too many. What an address may not do is not counted against the token, or one
    /// visitor could keep the others out.
    func admit(token: String, network: String, now: Duration) -> Bool {
        limits.withLock { limits in
            limits.network.admit(network, now: now) && limits.token.admit(token, now: now)
        }
    }
}

/// Lets each of many keys do so much a minute, a third of it at once: a token bucket, of which only the time is kept when
/// it is full again.
struct RateLimit {
    private let interval: Duration
    private let burst: Int
    private let capacity: Int
    /// Keys that are not here have a full bucket.
    private var fullAt: [String: Duration] = [:]

    /// How many keys it remembers.
    var count: Int { fullAt.count }

    init(perMinute: Int, capacity: Int = 10_000) {
        interval = .seconds(60) / perMinute
        burst = max(1, perMinute / 3)
        self.capacity = capacity
    }

    /// Takes from the key's bucket; false when there is nothing in it.
    mutating func admit(_ key: String, now: Duration) -> Bool {
        // Never later than from empty, should the clock have been put back.
        let full = min(max(fullAt[key] ?? now, now), now + interval * burst)
        guard full - now <= interval * (burst - 1) else {
            fullAt[key] = full
            return false
        }
        fullAt[key] = full + interval
        if fullAt.count > capacity { makeRoom(now) }
        return true
    }

    /// Forgets full buckets, and when that is not enough, the fuller half.
    private mutating func makeRoom(_ now: Duration) {
        fullAt = fullAt.filter { $0.value > now }
        guard fullAt.count > capacity else { return }
        let emptiest = fullAt.sorted { $0.value > $1.value }.prefix(capacity / 2)
        fullAt = Dictionary(uniqueKeysWithValues: emptiest.map { ($0.key, $0.value) })
    }
}
