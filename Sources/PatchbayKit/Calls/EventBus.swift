import PatchbayConfig
import PatchbayPlugin
import Signaling
import Synchronization

/// What happens in one call, told to everybody who follows it: the caller's client, as far as it may see it, and the
/// pipeline.
///
/// All see the events in one order.
final class EventBus: Sendable {
    private struct State {
        var followers: [Int: AsyncStream<CallEvent>.Continuation] = [:]
        var lastFollower = 0
        var isOver = false
        /// Where the pipeline's workflow is.
        var step: WorkflowStep?
        /// The pipeline tells itself when the caller speaks.
        var pipelineKnowsSpeech = false
    }

    private let exposure: EventExposure
    private let send: @Sendable (ServerMessage) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - exposure: what the client may see.
    ///   - send: sends to the client; must not wait.
    init(exposure: EventExposure, send: @escaping @Sendable (ServerMessage) -> Void) {
        self.exposure = exposure
        self.send = send
    }

    /// What the pipeline says happened. What it cannot know is passed over.
    func report(_ event: CallEvent) {
        if !event.isGateways { publish(event, isPipelines: true) }
    }

    /// What the gateway itself knows.
    func tell(_ event: CallEvent) {
        publish(event, isPipelines: false)
    }

    /// What the gateway guesses of the caller's speech, until the pipeline tells.
    func guess(_ event: CallEvent) {
        if !state.withLock(\.pipelineKnowsSpeech) { tell(event) }
    }

    private func publish(_ event: CallEvent, isPipelines: Bool) {
        state.withLock { state in
            if state.isOver { return }
            switch event {
            case .stepChanged(let step, _, _): state.step = step
            case .userStartedSpeaking where isPipelines: state.pipelineKnowsSpeech = true
            case .ended: state.isOver = true
            default: break
            }
            if exposure.shows(event), let message = ServerMessage(feedback: event, step: state.step) { send(message) }
            for follower in state.followers.values { follower.yield(event) }
            if state.isOver {
                for follower in state.followers.values { follower.finish() }
                state.followers = [:]
            }
        }
    }

    /// A message of the pipeline's own.
    func forward(_ message: JSONValue) {
        state.withLock { state in
            if exposure == .all, !state.isOver { send(.custom(message)) }
        }
    }

    /// The events from now on, to the call's end.
    func follow() -> AsyncStream<CallEvent> {
        let (events, follower) = AsyncStream<CallEvent>.makeStream(bufferingPolicy: .bufferingNewest(256))
        let number = state.withLock { state -> Int? in
            if state.isOver { return nil }
            state.lastFollower += 1
            state.followers[state.lastFollower] = follower
            return state.lastFollower
        }
        guard let number else {
            follower.finish()
            return events
        }
        follower.onTermination = { [weak self] _ in
            // The lock may be held by who ends it.
            Task { self?.forget(number) }
        }
        return events
    }

    private func forget(_ number: Int) {
        state.withLock { _ = $0.followers.removeValue(forKey: number) }
    }
}

extension EventExposure {
    func shows(_ event: CallEvent) -> Bool {
        switch self {
        case .none: false
        case .transcript: event.isTranscript
        case .all: true
        }
    }
}
