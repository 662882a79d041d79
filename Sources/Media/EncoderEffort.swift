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
    /// Intervals with little to do before a step back: new calls may be on their way.
    private static let proof = 6

    /// The most complexity that an encoder may have, 0 … 10.
    private(set) var limit: Int
    private let complexities: ClosedRange<Int>
    private var measured: (time: MonotonicTime, used: Duration)?
    private var calm = 0

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
        calm = share < Self.little ? calm + 1 : 0
        if share > Self.muchTooMuch {
            limit = max(complexities.lowerBound, limit - 3)
        } else if share > Self.tooMuch {
            limit = max(complexities.lowerBound, limit - 1)
        } else if calm >= Self.proof {
            (limit, calm) = (min(complexities.upperBound, limit + 1), 0)
        }
        return limit != before
    }
}
