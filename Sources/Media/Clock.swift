import Glibc
package import Wire

extension Duration {
    /// CPU time of the calling thread since it began.
    static func usedByThread() -> Duration {
        var reading = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &reading)
        return .nanoseconds(Int64(reading.tv_sec) &* 1_000_000_000 &+ Int64(reading.tv_nsec))
    }
}

extension MonotonicTime {
    /// A reading of CLOCK_MONOTONIC.
    package static func now() -> MonotonicTime {
        var reading = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &reading)
        return MonotonicTime(nanoseconds: Int64(reading.tv_sec) &* 1_000_000_000 &+ Int64(reading.tv_nsec))
    }

    /// The NTP timestamp (RFC 5905 §6: seconds since 1900 in the high 32 bits) of `MonotonicTime.zero`, by the clock on the wall.
    ///
    /// Read once: sender reports then go on evenly when somebody sets the wall clock.
    package static func ntpOrigin() -> UInt64 {
        var wall = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &wall)
        let sinceBoot = now().nanoseconds
        let nanoseconds = Int64(wall.tv_sec) &* 1_000_000_000 &+ Int64(wall.tv_nsec) &- sinceBoot
        // Below zero where the wall clock was never set.
        let (seconds, rest) = max(nanoseconds, 0).quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = (UInt64(rest) << 32) / 1_000_000_000
        return UInt64(truncatingIfNeeded: seconds &+ 2_208_988_800) << 32 | fraction
    }
}
