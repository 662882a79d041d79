import PatchbayPlugin

/// Keeps everything in memory. An actor does one thing at a time, so each operation is one step.
actor MyPlugin: StorePlugin {
    static let type = "my_plugin"
    static let summary = "Keeps data in memory, until the gateway stops."
    static let isPersistent = false

    struct Settings: PluginSettings {
        @Field("How many values it holds; a full store takes no more", in: 1...10_000_000) var capacity: Int = 100_000
        @Field("How long a value lives at most; for good unless it is set") var longest: Duration?
    }

    private let settings: Settings
    private let now: @Sendable () -> Duration
    private var values: [String: (bytes: [UInt8], expiry: Duration?)] = [:]
    private var counters: [String: Int] = [:]
    /// Counters that several members have shares of.
    private var sums: [String: (count: Int, shares: [String: CounterShare], expiry: Duration)] = [:]
    /// Sets by name; in each, when its members expire.
    private var sets: [String: [String: Duration]] = [:]

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
        now = context.wallClock
    }

    func get(_ key: String) -> [UInt8]? {
        guard let value = values[key], value.expiry.map({ now() < $0 }) ?? true else { return nil }
        return value.bytes
    }

    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) throws {
        if values[key] == nil, values.count >= settings.capacity {
            let now = now()
            values = values.filter { $0.value.expiry.map { now < $0 } ?? true }
            guard values.count < settings.capacity else { throw StoreIsFull() }
        }
        let lifetime = [timeToLive, settings.longest].compactMap(\.self).min()
        values[key] = (value, lifetime.map { now() + $0 })
    }

    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) throws -> Bool {
        guard get(key) == nil else { return false }
        try set(key, value, timeToLive: timeToLive)
        return true
    }

    func take(_ key: String) -> [UInt8]? {
        defer { values[key] = nil }
        return get(key)
    }

    func keys(startingWith prefix: String, limit: Int) -> [String] {
        Array(values.keys.filter { $0.utf8.starts(with: prefix.utf8) && get($0) != nil }.prefix(max(0, limit)))
    }

    func increment(_ key: String, limit: Int) -> Int? {
        let count = counters[key, default: 0]
        guard count < limit else { return nil }
        counters[key] = count + 1
        return count + 1
    }

    func counter(_ key: String) -> Int {
        counters[key] ?? sums[key].map { now() < $0.expiry ? $0.count : 0 } ?? 0
    }

    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) -> (share: Int, count: Int) {
        let now = now()
        sums = sums.filter { now < $0.value.expiry }
        var share = sums[key]?.shares[member] ?? CounterShare()
        share.apply(change, count: &sums[key, default: (0, [:], now)].count)
        sums[key]?.shares[member] = share
        sums[key]?.expiry = now + timeToLive
        return (share.amount, sums[key]?.count ?? 0)
    }

    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) -> Bool {
        var members = members(of: set)
        guard members[member] != nil || members.count < limit else { return false }
        members[member] = now() + timeToLive
        sets[set] = members
        return true
    }

    func release(_ set: String, member: String) {
        sets[set]?[member] = nil
        if sets[set]?.isEmpty == true { sets[set] = nil }
    }

    func count(_ set: String) -> Int {
        members(of: set).count
    }

    private func members(of set: String) -> [String: Duration] {
        let now = now()
        return sets[set, default: [:]].filter { now < $0.value }
    }
}

/// Thrown to plugins that write more than the store has room for.
struct StoreIsFull: Error {}
