public import PatchbayPlugin

/// Keeps what plugins store in the process: a restart forgets it.
///
/// It is the store of tenants that name none, and of tests, which can make it fail.
public actor MemoryStore: StorePlugin {
    public static let type = "memory"
    public static let summary = "Keeps data in memory, until the gateway stops."
    public static let isPersistent = false

    /// How much it holds.
    public struct Settings: PluginSettings {
        @Field("How many values it holds; of more, those written first are forgotten", in: 1_000...10_000_000)
        public var limit: Int = 100_000

        /// Makes the default settings.
        public init() {}
    }

    private let limit: Int
    private let wallClock: @Sendable () -> Duration
    private var values: [String: (value: [UInt8], expiry: Duration?, age: Int)] = [:]
    private var writes = 0
    private var counters: [String: (count: Int, expiry: Duration?)] = [:]
    private var sets: [String: [String: Duration]] = [:]
    private var failure: (any Error)?

    /// Makes an empty store.
    public init(settings: Settings, context: PluginContext) {
        self.init(limit: settings.limit, wallClock: context.wallClock)
    }

    /// Makes an empty store whose values expire by `wallClock`.
    public init(limit: Int = 100_000, wallClock: @escaping @Sendable () -> Duration) {
        self.limit = limit
        self.wallClock = wallClock
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
        write(key, value, timeToLive)
    }

    private func write(_ key: String, _ value: [UInt8], _ timeToLive: Duration?) {
        writes += 1
        values[key] = (value, timeToLive.map { wallClock() + $0 }, writes)
        if values.count > limit || writes.isMultiple(of: 1_000) { makeRoom() }
    }

    public func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        try check()
        if let there = values[key], isValid(there.expiry) { return false }
        write(key, value, timeToLive)
        return true
    }

    /// Forgets what has expired, and of the other values the oldest, a tenth at a time.
    private func makeRoom() {
        counters = counters.filter { isValid($0.value.expiry) }
        values = values.filter { isValid($0.value.expiry) }
        guard values.count > limit else { return }
        let ages = values.values.map(\.age).sorted()
        let oldest = ages[values.count - limit + limit / 10 - 1]
        values = values.filter { $0.value.age > oldest }
    }

    public func take(_ key: String) async throws -> [UInt8]? {
        try check()
        return values.removeValue(forKey: key).flatMap { isValid($0.expiry) ? $0.value : nil }
    }

    public func increment(_ key: String, by amount: Int, limit: Int, timeToLive: Duration?) async throws -> Int? {
        try check()
        let count = counters[key].flatMap { isValid($0.expiry) ? $0.count : nil } ?? 0
        let (sum, isBeyondAll) = count.addingReportingOverflow(amount)
        guard !isBeyondAll, sum <= limit else { return nil }
        counters[key] = (max(0, sum), timeToLive.map { wallClock() + $0 })
        writes += 1
        if writes.isMultiple(of: 1_000) { makeRoom() }
        return max(0, sum)
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
        if sets[set]?.isEmpty == true { sets[set] = nil }
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
