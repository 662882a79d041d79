internal import FoundationEssentials
internal import GRDB
public import PatchbayPlugin
internal import Synchronization

/// Keeps what plugins store in one SQLite file: for a gateway that runs alone, or several on one machine.
public final class SQLiteStore: StorePlugin {
    public static let type = "sqlite"
    public static let summary = "Keeps data in an SQLite file on this machine."

    /// Where the data is.
    public struct Settings: PluginSettings {
        @Field("The database's file; it is made when it is not there, and its folder too")
        public var path: OwnFile

        /// Makes the settings.
        public init() {}
    }

    private let path: String
    private let wallClock: @Sendable () -> Duration
    private let pool = Mutex<DatabasePool?>(nil)

    /// Makes a store that is not open yet.
    public init(settings: Settings, context: PluginContext) {
        path = settings.path.path
        wallClock = context.wallClock
    }

    /// Opens the file, and makes what is missing of it and in it.
    public func start() async throws {
        do {
            try createFile(path)
            let opened = try await Self.open(path)
            try Self.migrate(opened)
            try await opened.write { [now = now()] database in try Self.purge(database, now: now) }
            pool.withLock { $0 = opened }
        } catch {
            throw StoreError.cannotOpen(path, reason: "\(error)")
        }
    }

    /// Closes the file.
    public func stop() async {
        let open = pool.withLock { pool in
            defer { pool = nil }
            return pool
        }
        try? open?.close()
    }

    public func get(_ key: String) async throws -> [UInt8]? {
        try await opened().read { [now = now()] database in
            try Data.fetchOne(
                database, sql: "SELECT value FROM entries WHERE key = ? AND (expires IS NULL OR expires > ?)",
                arguments: [key, now])
        }.map(Array.init)
    }

    public func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        let expiry = timeToLive.map { date(after: $0) }
        try await opened().write { [now = now()] database in
            try Self.purge(database, now: now)
            try database.execute(
                sql: "INSERT OR REPLACE INTO entries (key, value, expires) VALUES (?, ?, ?)",
                arguments: [key, Data(value), expiry])
        }
    }

    public func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        let expiry = timeToLive.map { date(after: $0) }
        return try await opened().write { [now = now()] database in
            try Self.purge(database, now: now)
            try database.execute(
                sql: "INSERT OR IGNORE INTO entries (key, value, expires) VALUES (?, ?, ?)",
                arguments: [key, Data(value), expiry])
            return database.changesCount == 1
        }
    }

    public func take(_ key: String) async throws -> [UInt8]? {
        try await opened().write { [now = now()] database in
            try Self.purge(database, now: now)
            return try Data.fetchOne(
                database, sql: "DELETE FROM entries WHERE key = ? RETURNING value", arguments: [key])
        }.map(Array.init)
    }

    public func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        try await opened().read { [now = now(), end = Self.end(of: prefix)] database in
            // A range, which the index has. Any blob comes after every text.
            try String.fetchAll(
                database,
                sql: """
                    SELECT key FROM entries
                    WHERE key >= ? AND key < COALESCE(?, x'') AND (expires IS NULL OR expires > ?) LIMIT ?
                    """,
                arguments: [prefix, end, now, max(0, limit)])
        }
    }

    /// The first text that comes after all those that start with `prefix`, in the order of their bytes; nil where none does.
    private static func end(of prefix: String) -> String? {
        var scalars = Array(prefix.unicodeScalars)
        while let last = scalars.popLast() {
            // Between these two are the halves of UTF-16, which are no text.
            guard let next = Unicode.Scalar(last.value == 0xD7FF ? 0xE000 : last.value + 1) else { continue }
            return String(String.UnicodeScalarView(scalars + [next]))
        }
        return nil
    }

    public func increment(_ key: String, limit: Int) async throws -> Int? {
        try await opened().write { database in
            let count = try Self.count(key, database)
            guard count < limit else { return nil }
            try Self.write(key, count: count + 1, expiry: nil, database)
            return count + 1
        }
    }

    public func counter(_ key: String) async throws -> Int {
        try await opened().read { [now = now()] database in
            // Nobody has to write before what has expired is gone.
            try Int.fetchOne(
                database, sql: "SELECT count FROM counters WHERE key = ? AND (expires IS NULL OR expires > ?)",
                arguments: [key, now]) ?? 0
        }
    }

    public func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) {
        let (expiry, memory) = (date(after: timeToLive), date(after: min(timeToLive, CounterShare.memory)))
        return try await opened().write { [now = now()] database in
            try Self.purge(database, now: now)
            var count = try Self.count(key, database)
            let row = try Row.fetchOne(
                database, sql: "SELECT amount, is_settled FROM shares WHERE key = ? AND member = ?",
                arguments: [key, member])
            var share = row.map { CounterShare(amount: $0["amount"], isSettled: $0["is_settled"]) } ?? CounterShare()
            share.apply(change, count: &count)
            try Self.write(key, count: count, expiry: expiry, database)
            if share != CounterShare() {
                try database.execute(
                    sql: """
                        INSERT OR REPLACE INTO shares (key, member, amount, is_settled, expires) VALUES (?, ?, ?, ?, ?)
                        """,
                    arguments: [key, member, share.amount, share.isSettled, share.isSettled ? memory : expiry])
            }
            return (share.amount, count)
        }
    }

    private static func count(_ key: String, _ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "SELECT count FROM counters WHERE key = ?", arguments: [key]) ?? 0
    }

    private static func write(_ key: String, count: Int, expiry: Int64?, _ database: Database) throws {
        try database.execute(
            sql: "INSERT OR REPLACE INTO counters (key, count, expires) VALUES (?, ?, ?)",
            arguments: [key, count, expiry])
    }

    public func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        let expiry = date(after: timeToLive)
        return try await opened().write { [now = now()] database in
            try Self.purge(database, now: now)
            let others = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM leases WHERE name = ? AND member <> ?", arguments: [set, member])
            let isHeld = try Bool.fetchOne(
                database, sql: "SELECT EXISTS (SELECT * FROM leases WHERE name = ? AND member = ?)",
                arguments: [set, member])
            guard isHeld == true || others ?? 0 < limit else { return false }
            try database.execute(
                sql: "INSERT OR REPLACE INTO leases (name, member, expires) VALUES (?, ?, ?)",
                arguments: [set, member, expiry])
            return true
        }
    }

    public func release(_ set: String, member: String) async throws {
        try await opened().write { database in
            try database.execute(sql: "DELETE FROM leases WHERE name = ? AND member = ?", arguments: [set, member])
        }
    }

    public func count(_ set: String) async throws -> Int {
        try await opened().read { [now = now()] database in
            try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM leases WHERE name = ? AND expires > ?", arguments: [set, now])
        } ?? 0
    }

    private func opened() throws -> DatabasePool {
        guard let pool = pool.withLock({ $0 }) else { throw StoreError.notOpen(path) }
        return pool
    }

    /// Milliseconds since 1970-01-01 UTC.
    private func now() -> Int64 { date(after: .zero) }

    private func date(after duration: Duration) -> Int64 {
        let (seconds, attoseconds) = (wallClock() + duration).components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
