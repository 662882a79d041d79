import Wire

/// How long a gap waits for what is missing: as long as this call's own reordering needs.
///
/// Rises at once to twice what was seen and 5 ms, for the next may be later, and falls again over some ten seconds.
struct ReorderHold {
    static let initial = Duration.milliseconds(40)
    static let shortest = Duration.milliseconds(10)
    static let longest = Duration.milliseconds(200)
    /// Share of the way down to `shortest` that a packet in order takes it: 1/512.
    private static let decay: Int64 = 512
    private static let remembered = 64

    /// The last arrivals, by number modulo 64, each with its number.
    private var arrivals = [(number: Int64, at: MonotonicTime)](repeating: (.min, .zero), count: remembered)
    private var highest: Int64?
    private(set) var duration = initial

    /// Takes note of packet `number`, extended; returns false for one that came before.
    mutating func arrived(_ number: Int64, now: MonotonicTime) -> Bool {
        let place = Self.place(of: number)
        guard arrivals[place].number != number else { return false }
        guard let highest, number < highest else {
            self.highest = number
            arrivals[place] = (number, now)
            let above = duration.nanoseconds &- Self.shortest.nanoseconds
            duration = .nanoseconds(duration.nanoseconds &- above / Self.decay)
            return true
        }
        guard highest &- number < Int64(Self.remembered) else { return true }
        arrivals[place] = (number, now)
        // From when a later one was here, this one was missing.
        var missedSince = now
        for arrival in arrivals where arrival.number > number && arrival.number <= highest {
            missedSince = min(missedSince, arrival.at)
        }
        let delay = (now - missedSince).nanoseconds
        let needed = Duration.nanoseconds(2 &* delay) + .milliseconds(5)
        duration = min(max(duration, needed), Self.longest)
        return true
    }

    /// Another stream's numbers have nothing to do with the last one's; the network is the same.
    mutating func restart() {
        highest = nil
        for place in arrivals.indices { arrivals[place].number = .min }
    }

    private static func place(of number: Int64) -> Int {
        Int(truncatingIfNeeded: number & Int64(remembered - 1))
    }
}
