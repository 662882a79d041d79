import Synchronization

/// The time of day, which goes back for as long as something is to be made that is older than the test.
final class CaseClock: Sendable {
    private let wallClock: @Sendable () -> Duration
    private let age = Mutex(Duration.zero)

    init(_ wallClock: @escaping @Sendable () -> Duration) {
        self.wallClock = wallClock
    }

    /// Since 1970-01-01 UTC.
    var now: Duration { wallClock() - age.withLock(\.self) }

    /// Does something so long ago.
    func ago<Value>(_ age: Duration, _ body: () async throws -> Value) async rethrows -> Value {
        self.age.withLock { $0 = age }
        defer { self.age.withLock { $0 = .zero } }
        return try await body()
    }
}
