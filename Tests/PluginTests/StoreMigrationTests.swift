import Foundation
import GRDB
import PatchbayPlugin
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

        let store = try SQLiteStore.watched("path: \(path)")
        try await store.start()
        #expect(try await store.increment("t:runs", limit: .max) == 42)
        #expect(try await store.increment("t:runs", limit: 42) == nil)
        await store.stop()
    }

    @Test("of four that make one new file at the same moment all start")
    func race() async throws {
        for _ in 0..<30 {
            let path = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).db").path
            defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
            let stores = try (0..<4).map { _ in try SQLiteStore.watched("path: \(path)") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for store in stores { group.addTask { try await store.start() } }
                try await group.waitForAll()
            }
            for store in stores { await store.stop() }
        }
    }
}
