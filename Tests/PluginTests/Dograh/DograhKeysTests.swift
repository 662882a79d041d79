import Foundation
import GRDB
import Redis
import SQLiteStore
import TestSupport
import Testing

@testable import DograhQuota

/// As docs/redis.md has the keys: a program beside the gateway writes there.
@Suite("Dograh: a directory that another program writes", .timeLimit(.minutes(2)))
struct DograhKeysTests {
    private static let (members, workflow) = (#"{"members": ["7", "8"]}"#, #"{"owner": "7"}"#)

    private func check(_ directory: StoreDirectory) async throws {
        #expect(try await directory.isMember("8", of: "9"))
        #expect(try await !directory.isMember("9", of: "9"))
        #expect(try await directory.workflow(33, of: "9")?.owner == "7")
    }

    @Test("with redis-cli", .enabled(if: RedisServer.isInstalled))
    func redis() async throws {
        try await RedisFixture.with { redis in
            let client = redis.raw
            _ = try await client.send(RedisCommand("SET", "patchbay:value:dograh:organization:9", .text(Self.members)))
            _ = try await client.send(RedisCommand("SET", "patchbay:value:dograh:workflow:9:33", .text(Self.workflow)))
            try await check(StoreDirectory(store: redis.store))
        }
    }

    @Test("with sqlite3")
    func sqlite() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).db").path
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        let store = try SQLiteStore.watched("path: \(path)")
        try await store.start()
        let pool = try DatabasePool(path: path)
        for (key, value) in [("organization:9", Self.members), ("workflow:9:33", Self.workflow)] {
            try await pool.write { database in
                try database.execute(
                    sql: "INSERT OR REPLACE INTO entries (key, value) VALUES (?, CAST(? AS BLOB))",
                    arguments: ["dograh:\(key)", value])
            }
        }
        try pool.close()
        try await check(StoreDirectory(store: store))
        await store.stop()
    }
}
