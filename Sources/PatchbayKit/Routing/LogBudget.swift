import Synchronization

/// How much strangers may have written down: so many lines in a second for one network, or of one thing that goes wrong, however
/// often they cause it.
final class LogBudget: Sendable {
    static let linesPerSecond = 10

    private struct State {
        var second: Int64?
        var lines: [String: Int] = [:]
        var leftOut = 0
    }

    private let state = Mutex(State())

    /// - Parameters:
    ///   - key: the network, or what goes wrong.
    ///   - now: on any clock that goes forward.
    /// - Returns: how many lines were left out, whoever's, before this one; nil when it is left out itself.
    func admit(_ key: String, now: Duration) -> Int? {
        state.withLock { state in
            let second = now.components.seconds
            var leftOut = 0
            if second != state.second {
                (leftOut, state) = (state.leftOut, State(second: second))
            }
            let lines = state.lines[key, default: 0]
            guard lines < Self.linesPerSecond else {
                state.leftOut += 1
                return nil
            }
            state.lines[key] = lines + 1
            return leftOut
        }
    }
}
