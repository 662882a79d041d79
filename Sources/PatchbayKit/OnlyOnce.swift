import Synchronization

/// Runs its body at the first `run`, whoever comes first, and at the latest when nobody is left who could.
final class OnlyOnce: Sendable {
    private let body: @Sendable () -> Void
    private let flag = Atomic(false)

    var hasRun: Bool { flag.load(ordering: .acquiring) }

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    deinit {
        run()
    }

    func run() {
        if !flag.exchange(true, ordering: .acquiringAndReleasing) { body() }
    }
}
