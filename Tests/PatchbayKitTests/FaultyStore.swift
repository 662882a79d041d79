import PatchbayPlugin
import PatchbayTesting
import Synchronization

@testable import PatchbayKit

/// A store in memory that fails at one of its operations, and counts them.
final class FaultyStore: StorePlugin {
    static let type = "faulty"
    static let summary = "Fails when a test says."

    private let store = MemoryStore()
    private let count = Mutex<(done: Int, failing: Range<Int>)>((0, 0..<0))

    init() {}

    init(settings: NoSettings, context: PluginContext) {}

    /// Those of the operations from now on that fail; an empty range mends it.
    func fail(_ operations: Range<Int>) {
        count.withLock { $0 = (0, operations) }
    }

    private func step() throws {
        let fails = count.withLock { count in
            defer { count.done += 1 }
            return count.failing.contains(count.done)
        }
        if fails { throw CallerError("the store is away") }
    }

    func get(_ key: String) async throws -> [UInt8]? {
        try step()
        return try await store.get(key)
    }

    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        try step()
        try await store.set(key, value, timeToLive: timeToLive)
    }

    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        try step()
        return try await store.add(key, value, timeToLive: timeToLive)
    }

    func take(_ key: String) async throws -> [UInt8]? {
        try step()
        return try await store.take(key)
    }

    func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        try step()
        return try await store.keys(startingWith: prefix, limit: limit)
    }

    func increment(_ key: String, limit: Int) async throws -> Int? {
        try step()
        return try await store.increment(key, limit: limit)
    }

    func counter(_ key: String) async throws -> Int {
        try step()
        return try await store.counter(key)
    }

    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) {
        try step()
        return try await store.share(key, member: member, change, timeToLive: timeToLive)
    }

    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        try step()
        return try await store.lease(set, member: member, limit: limit, timeToLive: timeToLive)
    }

    func release(_ set: String, member: String) async throws {
        try step()
        try await store.release(set, member: member)
    }

    func count(_ set: String) async throws -> Int {
        try step()
        return try await store.count(set)
    }
}
