import Wire

/// How hard a loop's encoders may work: less when its thread has little time left.
///
/// A frame that comes late is worse than one that is coded a little less well. Without the limit a loop with too many
/// calls falls behind in all of them at once; at complexity 0 it takes half as many again.
struct EncoderEffort {
    /// Shares of a core that the thread uses. Between them nothing changes, as a step is less than what lies between.
    private static let tooMuch = 0.8
    private static let muchTooMuch = 0.92
    private static let little = 0.6
    private static let interval = Duration.milliseconds(500)
    /// How long there must be little to do for each step back: new calls may be on their way.
    private static let proof = Duration.seconds(3)

    /// The most complexity that an encoder may have, 0 … 10.
    private(set) var limit: Int
    private let complexities: ClosedRange<Int>
    private var measured: (time: MonotonicTime, used: Duration)?
    private var calmSince: MonotonicTime?

    /// - Parameter complexities: what encoders may go down to, and what they are set to.
    init(within complexities: ClosedRange<Int>) {
        self.complexities = complexities
        limit = complexities.upperBound
    }

    /// Whether `measure` has something to do.
    func isDue(_ now: MonotonicTime) -> Bool {
        measured.map { now - $0.time >= Self.interval } ?? true
    }

    /// - Parameters:
    ///   - used: CPU time of the thread so far.
    /// - Returns: whether the limit has changed.
    mutating func measure(used: Duration, now: MonotonicTime) -> Bool {
        defer { measured = (now, used) }
        guard let measured, now > measured.time else { return false }
        let share = (used - measured.used) / (now - measured.time)
        let before = limit
        calmSince = share < Self.little ? calmSince ?? measured.time : nil
        if share > Self.muchTooMuch {
            limit = max(complexities.lowerBound, limit - 3)
        } else if share > Self.tooMuch {
            limit = max(complexities.lowerBound, limit - 1)
        } else if let since = calmSince, now - since >= Self.proof {
            // A loop without calls sleeps for any time.
            let steps = Int(min((now - since) / Self.proof, 10))
            (limit, calmSince) = (min(complexities.upperBound, limit + steps), now)
        }
        return limit != before
    }
}
