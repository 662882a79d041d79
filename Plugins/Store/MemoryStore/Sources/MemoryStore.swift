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
    private var counters: [String: Int] = [:]
    private var sums: [String: (count: Int, expiry: Duration)] = [:]
    private var shares: [Member: (share: CounterShare, expiry: Duration)] = [:]
    private var sets: [String: [String: Duration]] = [:]
    private var failure: (error: any Error, carriesOut: Bool)?

    /// Who has a share of which counter.
    private struct Member: Hashable {
        var key: String
        var name: String
    }

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
    ///
    /// - Parameter carryingOut: it does all the same what it is asked, as a store whose answers are lost.
    public func fail(with error: (any Error)?, carryingOut: Bool = false) {
        failure = error.map { ($0, carryingOut) }
    }

    /// The keys of all values that have not expired.
    public var keys: [String] {
        values.filter { isValid($0.value.expiry) }.keys.sorted()
    }

    public func get(_ key: String) async throws -> [UInt8]? {
        try answer { values[key].flatMap { isValid($0.expiry) ? $0.value : nil } }
    }

    public func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        try answer { write(key, value, timeToLive) }
    }

    private func write(_ key: String, _ value: [UInt8], _ timeToLive: Duration?) {
        values[key] = (value, timeToLive.map { wallClock() + $0 }, writes)
        countWrite()
    }

    public func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        try answer {
            if let there = values[key], isValid(there.expiry) { return false }
            write(key, value, timeToLive)
            return true
        }
    }

    private func countWrite() {
        writes += 1
        if values.count > limit || writes.isMultiple(of: 1_000) { makeRoom() }
    }

    /// Forgets what has expired, and of the other values the oldest, a tenth at a time.
    private func makeRoom() {
        sums = sums.filter { isValid($0.value.expiry) }
        shares = shares.filter { isValid($0.value.expiry) }
        values = values.filter { isValid($0.value.expiry) }
        guard values.count > limit else { return }
        let ages = values.values.map(\.age).sorted()
        let oldest = ages[values.count - limit + limit / 10 - 1]
        values = values.filter { $0.value.age > oldest }
    }

    public func take(_ key: String) async throws -> [UInt8]? {
        try answer { values.removeValue(forKey: key).flatMap { isValid($0.expiry) ? $0.value : nil } }
    }

    public func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        try answer {
            let found = values.filter { isValid($0.value.expiry) && $0.key.utf8.starts(with: prefix.utf8) }
            return Array(found.keys.prefix(max(0, limit)))
        }
    }

    public func increment(_ key: String, limit: Int) async throws -> Int? {
        try answer {
            let count = counters[key] ?? 0
            guard count < limit else { return nil }
            counters[key] = count + 1
            return count + 1
        }
    }

    public func counter(_ key: String) async throws -> Int {
        try answer { counters[key] ?? sums[key].flatMap { isValid($0.expiry) ? $0.count : nil } ?? 0 }
    }

    public func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) {
        try answer {
            let (now, member) = (wallClock(), Member(key: key, name: member))
            var count = sums[key].flatMap { isValid($0.expiry) ? $0.count : nil } ?? 0
            var share = shares[member].flatMap { isValid($0.expiry) ? $0.share : nil } ?? CounterShare()
            share.apply(change, count: &count)
            sums[key] = (count, now + timeToLive)
            let memory = share.isSettled ? min(timeToLive, CounterShare.memory) : timeToLive
            shares[member] = share == CounterShare() ? nil : (share, now + memory)
            countWrite()
            return (share.amount, count)
        }
    }

    public func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        try answer {
            var members = (sets[set] ?? [:]).filter { isValid($0.value) }
            guard members[member] != nil || members.count < limit else { return false }
            members[member] = wallClock() + timeToLive
            sets[set] = members
            return true
        }
    }

    public func release(_ set: String, member: String) async throws {
        try answer {
            sets[set]?[member] = nil
            if sets[set]?.isEmpty == true { sets[set] = nil }
        }
    }

    public func count(_ set: String) async throws -> Int {
        try answer { (sets[set] ?? [:]).values.count { isValid($0) } }
    }

    private func answer<Answer>(_ operation: () -> Answer) throws -> Answer {
        guard let failure else { return operation() }
        if failure.carriesOut { _ = operation() }
        throw failure.error
    }

    private func isValid(_ expiry: Duration?) -> Bool {
        expiry.map { wallClock() < $0 } ?? true
    }
}
