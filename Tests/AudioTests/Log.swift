import Synchronization

/// What concurrent tasks note down.
final class Log: Sendable {
    private let state = Mutex<[Int]>([])

    var entries: [Int] { state.withLock { $0 } }

    func append(_ entry: Int) {
        state.withLock { $0.append(entry) }
    }
}

/// What concurrent tasks count.
final class Counter: Sendable {
    private let state = Atomic(0)

    var value: Int { state.load(ordering: .sequentiallyConsistent) }

    func add() {
        state.add(1, ordering: .sequentiallyConsistent)
    }

    /// The count so far, which begins anew.
    func take() -> Int { state.exchange(0, ordering: .sequentiallyConsistent) }
}
