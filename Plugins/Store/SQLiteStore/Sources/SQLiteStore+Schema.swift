internal import GRDB

extension SQLiteStore {
    /// Writers wait for one another, also those of other processes, for up to five seconds.
    static var configuration: Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.label = "patchbay.sqlite"
        return configuration
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
        return migrator
    }

    /// Deletes what has expired.
    static func purge(_ database: Database, now: Int64) throws {
        try database.execute(
            sql: """
                DELETE FROM entries WHERE expires <= ?;
                DELETE FROM leases WHERE expires <= ?;
                DELETE FROM counters WHERE expires <= ?;
                """,
            arguments: [now, now, now])
    }
}
