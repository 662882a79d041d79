import PatchbayPlugin
import Signaling
import Synchronization

/// A call's client: the socket that the call is on at the moment, if any.
///
/// A call outlives a socket that is lost. Nobody hears what it says then, until its caller is back on another socket, or
/// the time for that is over.
final class CallClient: Sendable {
    /// Where the client is. The supervisor stands here so that who returns finds the call, and goes at the call's end.
    private enum Place {
        /// The call has not been answered yet.
        case none
        case on(SignalingSession, CallSupervisor)
        /// The socket was lost.
        case away(until: ContinuousClock.Instant, CallSupervisor)
        /// Nobody can return any more: the call is about to end.
        case abandoned
        case over
    }

    let name: CallRegistry.PeerName
    private let workflowID: Int
    private let workflowRunID: Int
    private let state = Mutex((place: Place.none, waiting: [CheckedContinuation<Void, Never>]()))

    init(_ request: CallRequest, pcID: String) {
        name = CallRegistry.PeerName(tenant: request.tenant, principal: request.principal, pcID: pcID)
        (workflowID, workflowRunID) = (request.workflowID, request.workflowRunID)
    }

    /// Sends where the client is; what is said while it is away is lost. A droppable message is also dropped when too many
    /// wait already.
    func send(_ message: ServerMessage, isDroppable: Bool = false) {
        session?.client.send(message, isDroppable)
    }

    private var session: SignalingSession? {
        if case .on(let session, _) = state.withLock({ $0.place }) { session } else { nil }
    }

    /// Until when the call waits for its caller; nil while it does not.
    var awaitedUntil: ContinuousClock.Instant? {
        if case .away(let end, _) = state.withLock({ $0.place }) { end } else { nil }
    }

    /// Whether the call is one of this run, so that a caller of its name may return to it.
    func isCall(of target: SignalingSession.Target) -> Bool {
        (workflowID, workflowRunID) == (target.workflowID, target.workflowRunID)
    }

    /// The call is answered.
    func begin(on session: SignalingSession, _ supervisor: CallSupervisor) {
        state.withLock { $0.place = .on(session, supervisor) }
    }

    /// The socket is lost. A call that is on another by now, or over, is not concerned.
    func leave(_ session: SignalingSession, until end: ContinuousClock.Instant) {
        state.withLock { state in
            guard case .on(let current, let supervisor) = state.place, current === session else { return }
            state.place = .away(until: end, supervisor)
        }
    }

    /// Moves a call whose socket was lost to another; nil when it is on one, or too late.
    func take(by session: SignalingSession) -> CallSupervisor? {
        state.withLock { state in
            guard case .away(_, let supervisor) = state.place else { return nil }
            state.place = .on(session, supervisor)
            return supervisor
        }
    }

    /// Waits until it is known whether the call can be taken: until the socket that it is on has shown that it is alive or
    /// turned out to be lost, and until a call that nobody can return to is over.
    func settle() async {
        switch state.withLock({ $0.place }) {
        case .on(let session, _): if await session.client.isLost() { await session.lose() }
        case .abandoned: await untilOver()
        case .none, .away, .over: break
        }
    }

    /// Ends the time in which the caller may return.
    ///
    /// - Parameter now: the time is only ended when it is over by then.
    /// - Returns: the call, for whoever is to hang it up; nil when the client is not away.
    func abandon(at now: ContinuousClock.Instant? = nil) -> CallSupervisor? {
        state.withLock { state in
            guard case .away(let end, let supervisor) = state.place, now ?? end >= end else { return nil }
            state.place = .abandoned
            return supervisor
        }
    }

    /// The call is over, with nothing left of it: who is there is told, then who waits for that.
    func end(_ call: CallSupervisor, _ end: CallEnd) async {
        let (session, waiting) = state.withLock { state in
            defer { state = (.over, []) }
            if case .on(let session, _) = state.place { return (Optional(session), state.waiting) }
            return (nil, state.waiting)
        }
        await session?.callEnded(pcID: name.pcID, callID: call.id, end)
        for each in waiting { each.resume() }
    }

    func untilOver() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if case .over = state.place { return true }
                state.waiting.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}
