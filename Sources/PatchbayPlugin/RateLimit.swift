internal import Synchronization

/// Lets each of many keys do something every so often, and some of it at once: a token bucket, of which only the time is
/// kept when it is full again.
package final class RateLimit: Sendable {
    private let interval: Duration
    private let burst: Int
    private let capacity: Int
    /// Keys that are not here have a full bucket.
    private let fullAt = Mutex<[String: Duration]>([:])

    /// How many keys it remembers.
    package var count: Int { fullAt.withLock { $0.count } }

    /// `burst` times at once, and once more with each `interval`.
    package init(burst: Int, interval: Duration, capacity: Int = 10_000) {
        self.burst = burst
        self.interval = interval
        self.capacity = capacity
    }

    /// So much a minute, a third of it at once.
    package convenience init(perMinute: Int, capacity: Int = 10_000) {
        self.init(burst: max(1, perMinute / 3), interval: .seconds(60) / perMinute, capacity: capacity)
    }

    /// Takes from the key's bucket; false when there is nothing in it.
    package func admit(_ key: String, now: Duration) -> Bool {
        fullAt.withLock { fullAt in
            // Never later than from empty, should the clock have been put back.
            let full = min(max(fullAt[key] ?? now, now), now + interval * burst)
            guard full - now <= interval * (burst - 1) else {
                fullAt[key] = full
                return false
            }
            fullAt[key] = full + interval
            if fullAt.count > capacity { Self.makeRoom(&fullAt, capacity, now) }
            return true
        }
    }

    /// Whether `admit` would take something, which it does not yet.
    package func hasRoom(_ key: String, now: Duration) -> Bool {
        fullAt.withLock { min(max($0[key] ?? now, now), now + interval * burst) - now <= interval * (burst - 1) }
    }

    /// Takes from the key's bucket whatever is in it. What was not there is owed: until it has come in, there is no room. No more
    /// is owed than `most` times.
    package func charge(_ key: String, owingAtMost most: Int, now: Duration) {
        fullAt.withLock { fullAt in
            fullAt[key] = min(max(fullAt[key] ?? now, now) + interval, now + interval * (burst + most))
            if fullAt.count > capacity { Self.makeRoom(&fullAt, capacity, now) }
        }
    }

    /// Forgets full buckets, and when that is not enough, the fuller half.
    private static func makeRoom(_ fullAt: inout [String: Duration], _ capacity: Int, _ now: Duration) {
        fullAt = fullAt.filter { $0.value > now }
        guard fullAt.count > capacity else { return }
        let emptiest = fullAt.sorted { $0.value > $1.value }.prefix(capacity / 2)
        fullAt = Dictionary(uniqueKeysWithValues: emptiest.map { ($0.key, $0.value) })
    }
}
