@_exported public import MemoryStore

extension MemoryStore {
    /// Makes an empty store whose values expire by `clock`.
    public init(clock: TestClock = TestClock()) {
        self.init(wallClock: { clock.now })
    }
}
