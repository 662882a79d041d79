internal import Logging
public import PatchbayPlugin

/// A store that forgets everything when the test is over, on a clock that the test moves.
public actor MemoryStore: StorePlugin {
    public static let type = "memory"
    public static let summary = "Keeps data in memory, for tests."

    /// A memory has nothing to set.
    public struct Settings: PluginSettings {
        /// Makes the settings.
        public init() {}
    }

    private let wallClock: @Sendable () -> Duration
    private var values: [String: (value: [UInt8], expiry: Duration?)] = [:]
    private var counters: [String: Int] = [:]
    private var sets: [String: [String: Duration]] = [:]
    private var failure: (any Error)?

    /// Makes an empty store.
    public init(settings: Settings, context: PluginContext) {
        wallClock = context.wallClock
    }

    /// Makes an empty store whose values expire by `clock`.
    public init(clock: TestClock = TestClock()) {
        wallClock = { clock.now }
    }

    /// From now on every operation throws `error`, as a store that cannot be reached; nil makes it work again.
    public func fail(with error: (any Error)?) {
        failure = error
    }

    /// The keys of all values that have not expired.
    public var keys: [String] {
        values.filter { isValid($0.value.expiry) }.keys.sorted()
    }

    public func get(_ key: String) async throws -> [UInt8]? {
        try check()
        return values[key].flatMap { isValid($0.expiry) ? $0.value : nil }
    }

    public func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        try check()
        values[key] = (value, timeToLive.map { wallClock() + $0 })
    }

    public func take(_ key: String) async throws -> [UInt8]? {
        try check()
        return values.removeValue(forKey: key).flatMap { isValid($0.expiry) ? $0.value : nil }
    }

    public func increment(_ key: String) async throws -> Int {
        try check()
        counters[key, default: 0] += 1
        return counters[key, default: 0]
    }

    public func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        try check()
        var members = (sets[set] ?? [:]).filter { isValid($0.value) }
        guard members[member] != nil || members.count < limit else { return false }
        members[member] = wallClock() + timeToLive
        sets[set] = members
        return true
    }

    public func release(_ set: String, member: String) async throws {
        try check()
        sets[set]?[member] = nil
    }

    public func count(_ set: String) async throws -> Int {
        try check()
        return (sets[set] ?? [:]).values.count { isValid($0) }
    }

    private func check() throws {
        if let failure { throw failure }
    }

    private func isValid(_ expiry: Duration?) -> Bool {
        expiry.map { wallClock() < $0 } ?? true
    }
}
