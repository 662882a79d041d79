import Foundation
import GRDB
import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import SQLiteStore

@Suite("SQLite files of earlier versions")
struct StoreMigrationTests {
    @Test("counters from before they could be forgotten count on")
    func counters() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).db").path
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        let pool = try DatabasePool(path: path)
        try SQLiteStore.schema.migrate(pool, upTo: "1")
        try await pool.write { try $0.execute(sql: "INSERT INTO counters VALUES ('t:runs', 41)") }
        try pool.close()

        let store = try SQLiteStore.configured("path: \(path)")
        try await store.start()
        #expect(try await store.increment("t:runs", limit: .max) == 42)
        #expect(try await store.increment("t:runs", by: 8, limit: 50, timeToLive: .seconds(60)) == 50)
        await store.stop()
    }
}
