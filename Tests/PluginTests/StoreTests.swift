import Foundation
import PatchbayPlugin
import PatchbayTesting
import RedisStore
import SQLiteStore
import TestSupport
import Testing

/// What every store promises, asked of each of ours.
@Suite("Stores")
struct StoreTests {
    enum Engine: String, CaseIterable {
        case memory, sqlite, redis

        /// Those that can be had here.
        static let all = allCases.filter { $0 != .redis || RedisServer.isInstalled }
        /// Those that go by the test's clock. Redis goes by its own: `RedisStoreTests`.
        static let byTestClock = [memory, sqlite]
    }

    private let clock = TestClock()
    private let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID())")

    @Test("gives back what was set, and nothing where nothing was", arguments: Engine.all)
    func values(engine: Engine) async throws {
        try await with(engine) { store in
            #expect(try await store.get("t:a") == nil)
            try await store.set("t:a", [1, 0, 255], timeToLive: nil)
            try await store.set("t:empty", [], timeToLive: nil)
            #expect(try await store.get("t:a") == [1, 0, 255])
            #expect(try await store.get("t:empty") == [])
            try await store.set("t:a", [2], timeToLive: nil)
            clock.advance(by: .seconds(1_000_000_000))
            #expect(try await store.get("t:a") == [2])
        }
    }

    @Test("a value expires, and setting it again gives it new time", arguments: Engine.byTestClock)
    func expiry(engine: Engine) async throws {
        try await with(engine) { store in
            try await store.set("t:a", [1], timeToLive: .milliseconds(1_500))
            clock.advance(by: .milliseconds(1_499))
            #expect(try await store.get("t:a") == [1])
            try await store.set("t:a", [2], timeToLive: .milliseconds(1_500))
            clock.advance(by: .milliseconds(1_499))
            #expect(try await store.get("t:a") == [2])
            clock.advance(by: .milliseconds(1))
            #expect(try await store.get("t:a") == nil)
            #expect(try await store.take("t:a") == nil)
        }
    }

    @Test("of two takers one gets it", arguments: Engine.all)
    func take(engine: Engine) async throws {
        try await with(engine) { store in
            for trial in 0..<200 {
                try await store.set("t:\(trial)", [1], timeToLive: .seconds(60))
                async let first = store.take("t:\(trial)")
                async let second = store.take("t:\(trial)")
                let taken = try await [first, second]
                #expect(taken.count { $0 == [1] } == 1)
                #expect(taken.count { $0 == nil } == 1)
            }
        }
    }

    @Test("what is added is there once, until it expires", arguments: Engine.byTestClock)
    func add(engine: Engine) async throws {
        try await with(engine) { store in
            #expect(try await store.add("t:a", [1], timeToLive: .seconds(10)))
            try await store.set("t:other", [1], timeToLive: .seconds(5))
            clock.advance(by: .seconds(9))
            #expect(try await !store.add("t:a", [2], timeToLive: nil))
            #expect(try await store.get("t:a") == [1])
            clock.advance(by: .seconds(1))
            #expect(try await store.add("t:a", [3], timeToLive: nil))
            #expect(try await store.get("t:a") == [3])
            _ = try await store.take("t:a")
            #expect(try await store.add("t:a", [4], timeToLive: nil))
        }
    }

    @Test("of two who add one does", arguments: Engine.all)
    func addRace(engine: Engine) async throws {
        try await with(engine) { store in
            for trial in 0..<200 {
                async let first = store.add("t:\(trial)", [1], timeToLive: .seconds(60))
                async let second = store.add("t:\(trial)", [2], timeToLive: .seconds(60))
                let (one, other) = try await (first, second)
                #expect(one != other)
                #expect(try await store.get("t:\(trial)") == [one ? 1 : 2])
            }
        }
    }

    @Test("a counter gives each number once, and none beyond its limit", arguments: Engine.all)
    func increment(engine: Engine) async throws {
        try await with(engine) { store in
            let numbers = try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<60 { group.addTask { try await store.increment("t:runs", limit: 50) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(numbers.compactMap(\.self).sorted() == Array(1...50))
            #expect(numbers.count { $0 == nil } == 10)
            #expect(try await store.increment("t:runs", limit: 7) == nil)
            #expect(try await store.increment("t:runs", limit: .max) == 51)
            #expect(try await store.increment("t:others", limit: .max) == 1)
            for limit in [0, -1, .min] { #expect(try await store.increment("t:none", limit: limit) == nil) }
            #expect(try await store.increment("t:none", limit: 1) == 1)
        }
    }

    @Test(
        "a counter takes any amount that its limit has room for, and gives back no more than it has",
        arguments: Engine.all)
    func amounts(engine: Engine) async throws {
        try await with(engine) { store in
            let rows: [(amount: Int, limit: Int, sum: Int?)] = [
                (0, 100, 0), (60, 100, 60), (41, 100, nil), (40, 100, 100), (1, 100, nil), (0, 99, nil), (-30, 100, 70),
                (-Int.max, 100, 0), (.min, 100, 0), (.max, .max, .max), (1, .max, nil), (.min, .max, 0),
            ]
            for (amount, limit, sum) in rows {
                let count = try await store.increment("t:sum", by: amount, limit: limit, timeToLive: nil)
                #expect(count == sum, "\(amount) up to \(limit)")
            }
        }
    }

    @Test("of forty who add at once as many do as there is room for", arguments: Engine.all)
    func amountRace(engine: Engine) async throws {
        try await with(engine) { store in
            let sums = try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<40 {
                    group.addTask { try await store.increment("t:sum", by: 7, limit: 100, timeToLive: .seconds(60)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(sums.compactMap(\.self).sorted() == stride(from: 7, through: 98, by: 7).map { $0 })
        }
    }

    @Test(
        "a counter that nobody adds to for its time begins anew, one without a time stays",
        arguments: Engine.byTestClock)
    func counterExpiry(engine: Engine) async throws {
        try await with(engine) { store in
            _ = try await store.increment("t:kept", limit: .max)
            #expect(try await store.increment("t:sum", by: 5, limit: 9, timeToLive: .seconds(10)) == 5)
            clock.advance(by: .seconds(9))
            #expect(try await store.increment("t:sum", by: 1, limit: 9, timeToLive: .seconds(10)) == 6)
            clock.advance(by: .seconds(9))
            #expect(try await store.increment("t:sum", by: 4, limit: 9, timeToLive: .seconds(10)) == nil)
            clock.advance(by: .seconds(1))
            #expect(try await store.increment("t:sum", by: 4, limit: 9, timeToLive: .seconds(10)) == 4)
            #expect(try await store.increment("t:kept", limit: .max) == 2)
        }
    }

    @Test("a set takes no more than its limit, and counts a member once", arguments: Engine.all)
    func lease(engine: Engine) async throws {
        try await with(engine) { store in
            #expect(try await store.lease("t:s", member: "a", limit: 2, timeToLive: .seconds(30)))
            #expect(try await store.lease("t:s", member: "a", limit: 2, timeToLive: .seconds(30)))
            #expect(try await store.lease("t:s", member: "b", limit: 2, timeToLive: .seconds(30)))
            #expect(try await !store.lease("t:s", member: "c", limit: 2, timeToLive: .seconds(30)))
            #expect(try await store.lease("t:other", member: "c", limit: 1, timeToLive: .seconds(30)))
            #expect(try await store.count("t:s") == 2)
            try await store.release("t:s", member: "a")
            try await store.release("t:s", member: "nobody")
            #expect(try await store.count("t:s") == 1)
            #expect(try await store.lease("t:s", member: "c", limit: 2, timeToLive: .seconds(30)))
            // The limit was lowered: who is in may stay.
            #expect(try await store.lease("t:s", member: "c", limit: 1, timeToLive: .seconds(30)))
        }
    }

    @Test("of twenty racers for three places three win", arguments: Engine.all)
    func race(engine: Engine) async throws {
        try await with(engine) { store in
            let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                for racer in 0..<20 {
                    group.addTask {
                        try await store.lease("t:s", member: "\(racer)", limit: 3, timeToLive: .seconds(30))
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(wins == 3)
        }
    }

    @Test("a place that is not renewed falls free", arguments: Engine.byTestClock)
    func leaseExpiry(engine: Engine) async throws {
        try await with(engine) { store in
            _ = try await store.lease("t:s", member: "a", limit: 1, timeToLive: .seconds(30))
            clock.advance(by: .seconds(20))
            _ = try await store.lease("t:s", member: "a", limit: 1, timeToLive: .seconds(30))
            clock.advance(by: .seconds(29))
            #expect(try await !store.lease("t:s", member: "b", limit: 1, timeToLive: .seconds(30)))
            clock.advance(by: .seconds(1))
            #expect(try await store.count("t:s") == 0)
            #expect(try await store.lease("t:s", member: "b", limit: 1, timeToLive: .seconds(30)))
        }
    }

    @Test("a full memory forgets what was written first, and what has expired before anything else")
    func fullMemory() async throws {
        let store = MemoryStore(limit: 100) { [clock] in clock.now }
        for key in 0..<50 { try await store.set("t:\(key)", [1], timeToLive: nil) }
        for key in 50..<100 { try await store.set("t:\(key)", [1], timeToLive: .seconds(1)) }
        try await store.set("t:0", [2], timeToLive: nil)
        #expect(await store.keys.count == 100)
        clock.advance(by: .seconds(1))
        for key in 100..<150 { try await store.set("t:\(key)", [1], timeToLive: nil) }
        #expect(await store.keys.count == 100)
        #expect(try await store.get("t:1") == [1])
        try await store.set("t:150", [1], timeToLive: nil)
        #expect(await store.keys.count <= 100)
        #expect(try await store.get("t:1") == nil)
        #expect(try await store.get("t:0") == [2])
        #expect(try await store.get("t:150") == [1])
    }

    @Test("SQLite keeps everything over a stop and a start, in a file that nobody else may read")
    func persistence() async throws {
        try await with(.sqlite) { store in
            try await store.set("t:a", [1], timeToLive: .seconds(60))
            _ = try await store.increment("t:runs", limit: .max)
            await store.stop()
            await store.stop()
            try await store.start()
            #expect(try await store.get("t:a") == [1])
            #expect(try await store.increment("t:runs", limit: .max) == 2)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
    }

    @Test("SQLite says where it is not open, and stops without having started")
    func notOpen() async throws {
        let store = try SQLiteStore.configured("path: /nowhere/a.db")
        await store.stop()
        let error = await #expect(throws: (any Error).self) { try await store.get("t:a") }
        #expect(error.map { "\($0)" } == "the SQLite file /nowhere/a.db is not open")
    }

    @Test("SQLite says which path cannot be opened, and why")
    func unopenable() async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "text").path
        try Data("This is text, and no database, however long one looks at it.".utf8).write(to: URL(filePath: file))

        for (path, reason) in [
            ("\(file)/a.db", "Not a directory"), (folder.path, "Is a directory"),
            ("/proc/patchbay/a.db", "No such file or directory"),
            (file, "file is not a database"),
        ] {
            let store = try SQLiteStore.configured("path: \(path)")
            let error = await #expect(throws: (any Error).self) { try await store.start() }
            let text = error.map { "\($0)" } ?? ""
            #expect(text.hasPrefix("cannot open the SQLite file \(path): ") && text.contains(reason), "\(text)")
        }
    }

    private var path: String { folder.appending(path: "deep/er/patchbay.db").path }

    private func with(_ engine: Engine, _ body: (any StorePlugin) async throws -> Void) async throws {
        let store: any StorePlugin
        var server: RedisServer?
        switch engine {
        case .memory: store = MemoryStore(clock: clock)
        case .sqlite: store = try SQLiteStore.configured("path: \(path)", clock: clock)
        case .redis:
            let started = try await RedisServer()
            store = try RedisStore.configured(
                "{ url: \"redis://127.0.0.1:\(started.port)\", timeout: 10s }", clock: clock)
            server = started
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        try await store.start()
        try await body(store)
        await store.stop()
        server?.kill()
    }
}
