import Synchronization

/// How much strangers may have written down: so many lines in a second for one network, however often it is refused.
final class LogBudget: Sendable {
    static let linesPerSecond = 10

    private struct State {
        var second: Int64?
        var lines: [String: Int] = [:]
        var leftOut = 0
    }

    private let state = Mutex(State())

    /// - Parameter now: on any clock that goes forward.
    /// - Returns: how many lines were left out, whoever's, before this one; nil when it is left out itself.
    func admit(_ network: String, now: Duration) -> Int? {
        state.withLock { state in
            let second = now.components.seconds
            var leftOut = 0
            if second != state.second {
                (leftOut, state) = (state.leftOut, State(second: second))
            }
            let lines = state.lines[network, default: 0]
            guard lines < Self.linesPerSecond else {
                state.leftOut += 1
                return nil
            }
            state.lines[network] = lines + 1
            return leftOut
        }
    }
}
