/// Where plugins keep what outlives a call: a few atomic operations, so that every engine can offer them.
///
/// Keys are chosen by plugins and start with the plugin's type and a colon; `run:` is the host's. An error means that the engine could not be asked.
public protocol StorePlugin: Plugin {
    /// Whether what it holds is there after a restart, and for other processes; it is unless it says otherwise.
    static var isPersistent: Bool { get }

    /// The value, or nil when there is none or it has expired.
    func get(_ key: String) async throws -> [UInt8]?

    /// Writes a value that expires after `timeToLive`; nil keeps it for good.
    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws

    /// Writes a value where there is none, in one step; false, and nothing written, where there is one.
    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool

    /// Reads and deletes in one step, so that of two takers one gets it.
    func take(_ key: String) async throws -> [UInt8]?

    /// The keys of values, not of counters and sets, that start with a text, byte by byte, and have not expired: at most `limit`
    /// of them, in no order, and none where that is not positive. What is written or deleted in the meantime may be among them or not.
    ///
    /// For lists that people ask for, not for calls: an engine may have to look at all its keys, and takes them a few at a
    /// time, so that nobody waits for it.
    func keys(startingWith prefix: String, limit: Int) async throws -> [String]

    /// Adds one to a counter that starts at 0 and is kept for good, in one step; the new count, or nil, and nothing changed,
    /// when that would be more than `limit`.
    func increment(_ key: String, limit: Int) async throws -> Int?

    /// What a counter has come to, be it one of `increment` or one of `share`; 0 where nothing was counted, or it is forgotten.
    func counter(_ key: String) async throws -> Int

    /// Changes `member`'s share of a counter, in one step, by the rules of ``CounterShare``; what it has afterwards, and the
    /// count, which is the sum of all shares, those that are forgotten among them.
    ///
    /// To ask twice is to ask once, so whoever heard nothing asks again. Counters of shares have keys of their own, and a
    /// `member` has no colon. Count and share are forgotten when nobody has asked about them for `timeToLive`; a settled share
    /// may be after ``CounterShare/memory``.
    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int)

    /// Enters `member` into a set of at most `limit`, or renews it there, for `timeToLive`; false when the set is full.
    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool

    /// Takes `member` out of the set; nothing happens when it is not there.
    func release(_ set: String, member: String) async throws

    /// How many members the set has that have not expired.
    func count(_ set: String) async throws -> Int
}

extension StorePlugin {
    /// It is.
    public static var isPersistent: Bool { true }

    /// The values whose keys start with a text, in the order of the keys: for lists that people ask for.
    ///
    /// - Throws: an error where there are more than 100 000, for what is left out of a list would seem not to be there; and what
    ///   the store throws.
    public func entries(startingWith prefix: String) async throws -> [(key: String, value: [UInt8])] {
        let limit = 100_000
        let keys = try await keys(startingWith: prefix, limit: limit + 1)
        guard keys.count <= limit else { throw TooManyEntries(prefix: prefix, limit: limit) }
        var entries: [(key: String, value: [UInt8])] = []
        for key in keys.sorted() {
            // It may be gone in the meantime.
            if let value = try await get(key) { entries.append((key: key, value: value)) }
        }
        return entries
    }
}

private struct TooManyEntries: Error, CustomStringConvertible {
    let prefix: String
    let limit: Int

    var description: String { "more than \(limit) keys in the store start with '\(prefix)', too many for a list" }
}
