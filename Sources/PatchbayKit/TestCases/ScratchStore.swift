import PatchbayPlugin

/// Reads what another store has, and keeps to itself what is written: a test leaves nothing behind, and uses nothing up.
///
/// Nothing expires in it, and its counters begin at 0, for it lives no longer than one test.
actor ScratchStore: StorePlugin {
    static let type = "scratch"
    static let summary = "Reads another store, and writes nothing into it."

    struct Settings: PluginSettings {}

    private struct Entry {
        /// nil for one that was taken.
        var value: [UInt8]?
    }

    private let base: (any StorePlugin)?
    /// What keys start with of which the other store has nothing.
    private let hidden: [String]
    private var entries: [String: Entry] = [:]
    private var counters: [String: Int] = [:]
    private var shares: [String: [String: CounterShare]] = [:]
    private var sets: [String: Set<String>] = [:]

    init(settings: Settings, context: PluginContext) {
        (base, hidden) = (nil, [])
    }

    init(over base: any StorePlugin, hiding hidden: [String] = []) {
        (self.base, self.hidden) = (base, hidden)
    }

    func get(_ key: String) async throws -> [UInt8]? {
        if let entry = entries[key] { return entry.value }
        return isHidden(key) ? nil : try await base?.get(key)
    }

    private func isHidden(_ key: String) -> Bool { hidden.contains { key.hasPrefix($0) } }

    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) {
        entries[key] = Entry(value: value)
    }

    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        // Somebody may have written while the other store was asked.
        guard try await get(key) == nil, entries[key]?.value == nil else { return false }
        entries[key] = Entry(value: value)
        return true
    }

    func take(_ key: String) async throws -> [UInt8]? {
        guard let value = try await get(key) else { return nil }
        if let entry = entries[key], entry.value == nil { return nil }
        entries[key] = Entry(value: nil)
        return value
    }

    func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        // Some of the other store's are counted twice, or were taken here.
        let enough = max(limit, limit &+ entries.count)
        let others = try await base?.keys(startingWith: prefix, limit: enough) ?? []
        let own = entries.filter { $0.value.value != nil && $0.key.utf8.starts(with: prefix.utf8) }.map(\.key)
        return Array((own + others.filter { entries[$0] == nil && !isHidden($0) }).prefix(max(0, limit)))
    }

    func increment(_ key: String, limit: Int) -> Int? {
        let count = counters[key, default: 0]
        guard count < limit else { return nil }
        counters[key] = count + 1
        return count + 1
    }

    func counter(_ key: String) -> Int { counters[key] ?? sum(key) }

    private func sum(_ key: String) -> Int { shares[key, default: [:]].values.reduce(0) { $0 + $1.amount } }

    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) -> (share: Int, count: Int) {
        var share = shares[key]?[member] ?? CounterShare()
        var count = sum(key)
        share.apply(change, count: &count)
        shares[key, default: [:]][member] = share
        return (share.amount, count)
    }

    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        if sets[set]?.contains(member) == true { return true }
        guard try await count(set) < limit else { return false }
        sets[set, default: []].insert(member)
        return true
    }

    func release(_ set: String, member: String) {
        sets[set]?.remove(member)
    }

    func count(_ set: String) async throws -> Int {
        let others = try await base?.count(set) ?? 0
        return others + (sets[set]?.count ?? 0)
    }
}
