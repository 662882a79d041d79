internal import GRDB

extension SQLiteStore {
    /// Writers wait for one another, also those of other processes, for up to five seconds.
    static var configuration: Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.label = "patchbay.sqlite"
        return configuration
    }

    /// Opens a file. Where two processes switch a new one to its write-ahead log at the same moment, SQLite has one of them
    /// fail at once, whatever its `busyMode`.
    static func open(_ path: String) async throws -> DatabasePool {
        for _ in 0..<50 {
            do {
                return try DatabasePool(path: path, configuration: configuration)
            } catch DatabaseError.SQLITE_BUSY {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        return try DatabasePool(path: path, configuration: configuration)
    }

    /// The tables. `expires` is in milliseconds since 1970-01-01 UTC; what has no such date stays.
    static var schema: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires INTEGER) WITHOUT ROWID;
                    CREATE INDEX entries_expires ON entries (expires) WHERE expires IS NOT NULL;
                    CREATE TABLE counters (key TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
                    CREATE TABLE leases (
                        name TEXT NOT NULL, member TEXT NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (name, member)
                    ) WITHOUT ROWID;
                    CREATE INDEX leases_expires ON leases (expires);
                    """)
        }
        migrator.registerMigration("2") { database in
            try database.execute(
                sql: """
                    ALTER TABLE counters ADD COLUMN expires INTEGER;
                    CREATE INDEX counters_expires ON counters (expires) WHERE expires IS NOT NULL;
                    """)
        }
        migrator.registerMigration("3") { database in
            try database.execute(
                sql: """
                    CREATE TABLE shares (
                        key TEXT NOT NULL, member TEXT NOT NULL, amount INTEGER NOT NULL, is_settled INTEGER NOT NULL,
                        expires INTEGER NOT NULL, PRIMARY KEY (key, member)
                    ) WITHOUT ROWID;
                    CREATE INDEX shares_expires ON shares (expires);
                    """)
        }
        return migrator
    }

    /// Makes the tables that are missing. Another process may do that at the same moment, so that each failure can mean that
    /// it was quicker with one of them.
    static func migrate(_ pool: DatabasePool) throws {
        for _ in schema.migrations where (try? schema.migrate(pool)) != nil { return }
        try schema.migrate(pool)
    }

    /// Deletes what has expired.
    static func purge(_ database: Database, now: Int64) throws {
        try database.execute(
            sql: """
                DELETE FROM entries WHERE expires <= ?;
                DELETE FROM leases WHERE expires <= ?;
                DELETE FROM counters WHERE expires <= ?;
                DELETE FROM shares WHERE expires <= ?;
                """,
            arguments: [now, now, now, now])
    }
}
