/// A point on a monotonic clock: nanoseconds since an origin that only differences can see.
///
/// The protocol modules never read a clock. Whoever owns the socket does, and hands the reading in.
package struct MonotonicTime: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static let zero = MonotonicTime(nanoseconds: 0)

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    package static func + (time: Self, duration: Duration) -> Self {
        MonotonicTime(nanoseconds: time.nanoseconds &+ duration.nanoseconds)
    }

    package static func - (time: Self, duration: Duration) -> Self {
        MonotonicTime(nanoseconds: time.nanoseconds &- duration.nanoseconds)
    }

    /// The next point of a grid of `step`, or this one where it is on it.
    package func roundedUp(to step: Duration) -> Self {
        let step = max(step.nanoseconds, 1)
        let rest = nanoseconds % step
        return MonotonicTime(nanoseconds: nanoseconds &- rest &+ (rest > 0 ? step : 0))
    }

    package static func - (later: Self, earlier: Self) -> Duration {
        .nanoseconds(later.nanoseconds &- earlier.nanoseconds)
    }
}

extension Duration {
    /// Whole nanoseconds; a duration that does not fit in 292 years is cut to the nearest that does.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carried) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in milliseconds, fractions kept.
    package var milliseconds: Double {
        Double(nanoseconds) / 1e6
    }
}
