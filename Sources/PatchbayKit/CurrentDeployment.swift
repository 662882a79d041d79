import Synchronization

/// What the gateway serves: one configuration, until another takes its place.
final class CurrentDeployment: Sendable {
    private struct State {
        var current: Deployment
        /// Those of former configurations, for as long as a call still has them.
        var retired: [Retired] = []
    }

    private struct Retired {
        weak var instance: LiveInstance?
    }

    private let state: Mutex<State>

    init(_ deployment: Deployment) {
        state = Mutex(State(current: deployment))
    }

    /// What new sockets and requests meet. They keep it as long as they last.
    var current: Deployment { state.withLock(\.current) }

    /// From now on another. What no longer is in it stops when its last call is over.
    func replace(by deployment: Deployment) {
        // Let go of outside the lock.
        let former = state.withLock { state in
            let former = state.current
            let kept = Set(deployment.instances.map(ObjectIdentifier.init))
            let gone = former.instances.filter { !kept.contains(ObjectIdentifier($0)) }
            state.retired = state.retired.filter { $0.instance != nil } + gone.map { Retired(instance: $0) }
            state.current = deployment
            return former
        }
        withExtendedLifetime(former) {}
    }

    /// Stops everything, in use or not.
    func stop() async {
        let (current, retired) = state.withLock { ($0.current, $0.retired.compactMap(\.instance)) }
        for instance in retired.reversed() { await instance.stop() }
        await current.stop()
    }
}
