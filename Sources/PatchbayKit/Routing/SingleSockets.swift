import Synchronization

/// The sockets of callers whose credential opens one at a time.
///
/// A caller who is back after the loss of a socket is not kept out by it: the old one is asked first whether it is alive.
final class SingleSockets: Sendable {
    /// One socket's place, from its handshake to its end.
    final class Place: Sendable {
        private struct State {
            var client: SignalingSession.Client?
            var isLeft = false
            var waiting: [CheckedContinuation<Void, Never>] = []
        }

        private let state = Mutex(State())

        /// The handshake is through.
        func open(_ client: SignalingSession.Client) {
            settle { $0.client = client }
        }

        fileprivate func leave() {
            settle { $0.isLeft = true }
        }

        /// Whether the place is still somebody's. Waits for a handshake that is under way.
        fileprivate func isAlive() async -> Bool {
            await withCheckedContinuation { continuation in
                let isSettled = state.withLock { state in
                    if state.client != nil || state.isLeft { return true }
                    state.waiting.append(continuation)
                    return false
                }
                if isSettled { continuation.resume() }
            }
            let (client, isLeft) = state.withLock { ($0.client, $0.isLeft) }
            guard let client, !isLeft else { return false }
            if await client.isLost() { return false }
            return await !client.isClosed()
        }

        private func settle(_ change: (inout State) -> Void) {
            let waiting = state.withLock { state in
                change(&state)
                defer { state.waiting = [] }
                return state.waiting
            }
            for each in waiting { each.resume() }
        }
    }

    private let places = Mutex<[CallRegistry.PeerName: Place]>([:])

    /// How many callers have a socket, or are about to.
    var count: Int { places.withLock { $0.count } }

    /// Takes the caller's one place; nil when a socket that is alive has it.
    func take(_ caller: CallRegistry.PeerName) async -> Place? {
        let place = Place()
        while true {
            let former = places.withLock { places in
                if let former = places[caller] { return Optional(former) }
                places[caller] = place
                return nil
            }
            guard let former else { return place }
            if await former.isAlive() { return nil }
            leave(former, of: caller)
        }
    }

    /// Whether the caller has a socket, or is about to.
    func has(_ caller: CallRegistry.PeerName) -> Bool { places.withLock { $0[caller] != nil } }

    /// Gives a place back.
    ///
    /// - Returns: false, and the caller's place is as it was, when another socket has it by now.
    @discardableResult
    func leave(_ place: Place, of caller: CallRegistry.PeerName) -> Bool {
        defer { place.leave() }
        return places.withLock { places in
            guard places[caller] === place else { return false }
            places[caller] = nil
            return true
        }
    }
}
