import Synchronization

/// What is still to be told to a store that does not answer, when nobody waits for it any more.
package final class Errands: Sendable {
    private struct State {
        var open: [String: (number: Int, task: Task<Void, Never>)] = [:]
        var next = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Tries at once, and again and again, ever more seldom, at least every 15 s.
    ///
    /// - Parameters:
    ///   - name: what it is dropped by; an earlier one of that name is.
    ///   - time: after which it is given up.
    ///   - body: throws where it is to be tried again.
    package func run(_ name: String, for time: Duration, _ body: @escaping @Sendable () async throws -> Void) {
        let earlier = state.withLock { state in
            let number = state.next
            state.next += 1
            let earlier = state.open[name]?.task
            state.open[name] = (
                number,
                Task {
                    await persist(for: time, while: { self.isOpen(name, number) }) {
                        // It may have been dropped since, before this got a thread.
                        if self.isOpen(name, number) { try await body() }
                    }
                    self.state.withLock { if $0.open[name]?.number == number { $0.open[name] = nil } }
                }
            )
            return earlier
        }
        earlier?.cancel()
    }

    /// What was to be told is not true any more.
    package func drop(_ name: String) {
        state.withLock { $0.open.removeValue(forKey: name)?.task }?.cancel()
    }

    /// Tries each of them once more, and then no more.
    package func finish() async {
        let tasks = state.withLock { $0.open.values.map(\.task) }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    private func isOpen(_ name: String, _ number: Int) -> Bool {
        state.withLock { $0.open[name]?.number == number }
    }
}

/// Tries something at once, and again and again, ever more seldom, until it throws nothing. When the task is cancelled it is
/// tried once more. It has all the time that it takes, whoever waits for something else meanwhile.
package func persist(
    for time: Duration, while isWanted: () -> Bool = { true }, _ body: @escaping @Sendable () async throws -> Void
) async {
    let deadline = ContinuousClock.now + time
    var pause = Duration.seconds(1)
    while isWanted() {
        let isLast = Task.isCancelled || .now >= deadline
        // A task of its own, which is not cancelled with this one.
        let attempt = Task { try await Patience.none(body) }
        if case .success = await attempt.result { return }
        if isLast { return }
        try? await Task.sleep(for: min(pause, max(deadline - .now, .zero)))
        pause = min(pause * 2, .seconds(15))
    }
}
