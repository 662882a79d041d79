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

    /// Adds `amount` to a counter that starts at 0, in one step; the new count, or nil, and nothing changed, when that would be
    /// more than `limit`. A negative `amount` takes away, down to 0; one of 0 only looks. The counter is forgotten when
    /// nobody has added to it for `timeToLive`; nil keeps it for good.
    func increment(_ key: String, by amount: Int, limit: Int, timeToLive: Duration?) async throws -> Int?

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

    /// Adds one to a counter that is kept for good and goes no further than `limit`; the new count, or nil at the limit.
    public func increment(_ key: String, limit: Int) async throws -> Int? {
        try await increment(key, by: 1, limit: limit, timeToLive: nil)
    }
}
