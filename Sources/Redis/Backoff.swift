/// How long a client waits before it connects again: longer with each failure, and never quite as long as others do.
package struct Backoff: Sendable {
    package var shortest = Duration.milliseconds(50)
    package var longest = Duration.seconds(2)

    package init() {}

    /// - Parameters:
    ///   - failures: how many attempts have failed in a row. After none it is at most the shortest.
    ///   - random: 0 to 1.
    package func delay(failures: Int, random: Double) -> Duration {
        guard failures > 0 else { return shortest * random }
        let whole = min(shortest * (1 << min(failures, 20)), longest)
        return whole / 2 + whole / 2 * random
    }
}
