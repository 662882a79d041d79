internal import Wire

/// The arithmetic of LSR and DLSR (RFC 3550 §6.4.1), which is also that of LRR and DLRR (RFC 3611 §4.5).
///
/// Times are the middle 32 bits of NTP timestamps, so 1/65536 s, and wrap.
enum RoundTrip {
    /// Round trips above this come from a report that makes no sense.
    private static let maximum: UInt32 = 60 << 16

    static func middle(ofNTP timestamp: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: timestamp >> 16)
    }

    /// How long we held what arrived at `arrival`, in 1/65536 s.
    static func delay(since arrival: MonotonicTime, at now: MonotonicTime) -> UInt32 {
        UInt32(clamping: max((now - arrival).nanoseconds, 0) / 1000 &* 65_536 / 1_000_000)
    }

    /// The time since our report `last`, without the `delay` that the peer held it for.
    ///
    /// - Parameters:
    ///   - last: 0 when the peer has heard no report of ours yet.
    ///   - ntpTimestamp: of the wall clock that our reports carry, now.
    /// - Returns: nil when it makes no sense.
    static func measure(last: UInt32, delay: UInt32, ntpTimestamp: UInt64) -> Duration? {
        guard last != 0 else { return nil }
        let time = middle(ofNTP: ntpTimestamp) &- last &- delay
        // Clocks of different speed can make it a little less than nothing.
        let ticks = time >= 0x8000_0000 && 0 &- time < 1 << 10 ? 0 : time
        return ticks <= maximum ? .nanoseconds(Int64(ticks) * 1_000_000_000 / 65_536) : nil
    }
}
