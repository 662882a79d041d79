import Wire

/// A budget that refills evenly: so many units a second, and at most one second's worth saved up.
struct RateLimiter {
    private let perSecond: Int64
    /// In units times nanoseconds a second, so that no fraction is lost.
    private var budget: Int64
    private var refilled: MonotonicTime

    init(perSecond: Int, now: MonotonicTime) {
        self.perSecond = Int64(perSecond)
        budget = Int64(perSecond) &* 1_000_000_000
        refilled = now
    }

    /// Takes `units` from the budget; false, and nothing taken, when they are not there.
    mutating func admit(_ units: Int = 1, now: MonotonicTime) -> Bool {
        let elapsed = min(max((now - refilled).nanoseconds, 0), 1_000_000_000)
        refilled = now
        budget = min(budget &+ elapsed &* perSecond, perSecond &* 1_000_000_000)
        let cost = Int64(units) &* 1_000_000_000
        guard budget >= cost else { return false }
        budget &-= cost
        return true
    }
}
