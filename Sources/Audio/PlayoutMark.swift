internal import Synchronization

/// A place between the samples of a `PlayoutQueue`.
package final class PlayoutMark: Sendable {
    package enum Outcome: Sendable {
        /// Everything before it was handed out for sending.
        case played
        /// It was dropped with the audio around it.
        case cleared
    }

    private struct State {
        var outcome: Outcome?
        var waiters: [(number: Int, continuation: CheckedContinuation<Outcome, Never>)] = []
        var lastNumber = 0
    }

    /// How many samples were enqueued before it.
    let position: Int
    private let state = Mutex(State())

    init(position: Int) {
        self.position = position
    }

    /// Waits until it is played or cleared; a cancelled task gets `cleared` at once.
    package var outcome: Outcome {
        get async {
            let number = state.withLock { state in
                state.lastNumber += 1
                return state.lastNumber
            }
            return await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let known = state.withLock { state -> Outcome? in
                        // A cancellation before this point found nobody to resume.
                        if let outcome = state.outcome ?? (Task.isCancelled ? .cleared : nil) { return outcome }
                        state.waiters.append((number, continuation))
                        return nil
                    }
                    if let known { continuation.resume(returning: known) }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0).continuation }
                }
                waiter?.resume(returning: .cleared)
            }
        }
    }

    /// The first outcome counts.
    func settle(_ outcome: Outcome) {
        let waiters = state.withLock { state in
            guard state.outcome == nil else {
                return [(number: Int, continuation: CheckedContinuation<Outcome, Never>)]()
            }
            state.outcome = outcome
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: outcome) }
    }
}
