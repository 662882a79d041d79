internal import Wire

/// How often durations of each length came up, in 256 steps: the last of them holds what is longer.
package struct DurationHistogram: Sendable, Equatable {
    private let step: Duration
    private var counts = [UInt32](repeating: 0, count: 256)
    package private(set) var longest = Duration.zero

    /// - Parameter step: with 1 ms, up to 255 ms are told apart.
    package init(step: Duration = .milliseconds(1)) {
        self.step = step
    }

    package mutating func record(_ duration: Duration) {
        let index = min(max(duration.nanoseconds / step.nanoseconds, 0), 255)
        counts[Int(index)] &+= 1
        longest = max(longest, duration)
    }

    /// How many were recorded.
    package var count: Int { counts.reduce(0) { $0 + Int($1) } }

    /// The duration below which `share` (0…1) of all lie, in milliseconds, to a step; nil before the first.
    package func percentile(_ share: Double) -> Double? {
        let total = count
        guard total > 0 else { return nil }
        var left = max(1, Int((Double(total) * share).rounded(.up)))
        for (index, count) in counts.dropLast().enumerated() {
            left -= Int(count)
            if left <= 0 { return step.milliseconds * Double(index) }
        }
        return longest.milliseconds
    }

    package static func += (sum: inout Self, more: Self) {
        for index in sum.counts.indices { sum.counts[index] &+= more.counts[index] }
        sum.longest = max(sum.longest, more.longest)
    }
}
