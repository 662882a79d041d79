internal import Synchronization

/// A wall clock that moves when the test says so.
public final class TestClock: Sendable {
    private let time: Mutex<Duration>

    /// Makes a clock that shows `time` since 1970-01-01 UTC.
    public init(_ time: Duration = .seconds(1_800_000_000)) {
        self.time = Mutex(time)
    }

    /// What the clock shows.
    public var now: Duration { time.withLock { $0 } }

    /// Moves it on.
    public func advance(by duration: Duration) {
        time.withLock { $0 += duration }
    }
}
