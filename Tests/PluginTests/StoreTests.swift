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
            #expect(try await store.counter("t:runs") == 51)
            #expect(try await store.counter("t:none") == 1)
            #expect(try await store.counter("t:never") == 0)
        }
    }

    @Test(
        "lists the keys of values that start with a text, whatever is in it, and those of nothing else",
        arguments: Engine.all)
    func keys(engine: Engine) async throws {
        try await with(engine) { store in
            let all = [
                "t:a", "t:b", "t:", "t*:a", "t**", "t?:a", "t[x]:a", #"t\:a"#, "t%:a", "t_:a", "tx:a", "txy:a", "T:a",
                "té:a", "t\u{D7FF}:a", "t\u{E000}:a", "t\u{10FFFF}:a", "t\u{10FFFF}", "\u{10FFFF}", "u:a",
            ]
            for key in all { try await store.set(key, [1], timeToLive: nil) }
            // These are no values, whatever their keys are.
            _ = try await store.increment("t:n", limit: 9)
            _ = try await store.share("t:m", member: "a", .draw(upTo: 1, limit: 9), timeToLive: .seconds(60))
            _ = try await store.lease("t:s", member: "a", limit: 9, timeToLive: .seconds(60))
            let prefixes = [
                "", "t", "t:", "t:a", "t:ab", "t*", "t**", "t?", "t[", "t[x]", #"t\"#, "t%", "t_", "té", "t\u{D7FF}",
                "t\u{10FFFF}", "\u{10FFFF}", "v",
            ]
            for prefix in prefixes {
                let found = try await store.keys(startingWith: prefix, limit: 100)
                let expected = all.filter { $0.utf8.starts(with: prefix.utf8) }
                #expect(found.sorted() == expected.sorted(), "'\(prefix)'")
                for limit in [0, 1, 2] {
                    let some = try await store.keys(startingWith: prefix, limit: limit)
                    #expect(some.count == min(limit, expected.count) && Set(some).isSubset(of: expected))
                }
            }
            _ = try await store.take("t:a")
            #expect(try await store.keys(startingWith: "t:", limit: 100).sorted() == ["t:", "t:b"])
        }
    }

    @Test("lists no key whose value has expired", arguments: Engine.byTestClock)
    func keyExpiry(engine: Engine) async throws {
        try await with(engine) { store in
            try await store.set("t:short", [1], timeToLive: .seconds(10))
            try await store.set("t:long", [1], timeToLive: .seconds(20))
            try await store.set("t:good", [1], timeToLive: nil)
            clock.advance(by: .seconds(10))
            #expect(try await store.keys(startingWith: "t:", limit: 9).sorted() == ["t:good", "t:long"])
            clock.advance(by: .seconds(10))
            #expect(try await store.keys(startingWith: "t:", limit: 9) == ["t:good"])
        }
    }

    @Test(
        "a share grows by what there is room for, asked twice counts once, and stays as it was settled",
        arguments: Engine.all)
    func shares(engine: Engine) async throws {
        try await with(engine) { store in
            let rows: [(member: String, change: CounterShare.Change, share: Int, count: Int)] = [
                ("a", .draw(upTo: 0, limit: 100), 0, 0), ("a", .draw(upTo: 60, limit: 100), 60, 60),
                ("a", .draw(upTo: 60, limit: 100), 60, 60), ("b", .draw(upTo: 50, limit: 100), 40, 100),
                ("c", .draw(upTo: 1, limit: 100), 0, 100), ("a", .draw(upTo: 10, limit: 100), 60, 100),
                ("a", .draw(upTo: 70, limit: 80), 60, 100), ("a", .draw(upTo: 70, limit: .min), 60, 100),
                ("a", .settle(20), 20, 60), ("a", .settle(20), 20, 60), ("a", .settle(90), 20, 60),
                ("a", .draw(upTo: 90, limit: .max), 20, 60), ("b", .settle(200), 200, 220),
                // Nobody asked for it before: that comes later, and changes nothing.
                ("d", .settle(0), 0, 220), ("d", .draw(upTo: 30, limit: .max), 0, 220),
                ("e", .draw(upTo: -5, limit: .max), 0, 220), ("e", .settle(-5), 0, 220),
                ("f", .draw(upTo: .max, limit: .max), CounterShare.most - 220, CounterShare.most),
                ("f", .settle(.max), CounterShare.most, CounterShare.most),
            ]
            for (member, change, share, count) in rows {
                let found = try await store.share("t:sum", member: member, change, timeToLive: .seconds(60))
                #expect(found == (share, count), "\(member): \(change)")
            }
            #expect(try await store.counter("t:sum") == CounterShare.most)
            #expect(try await store.counter("t:other") == 0)
            let five = CounterShare.Change.draw(upTo: 5, limit: 9)
            let other = try await store.share("t:other", member: "a", five, timeToLive: .seconds(60))
            #expect(other == (5, 5))
        }
    }

    @Test("of forty who draw at once as many get something as there is something for", arguments: Engine.all)
    func shareRace(engine: Engine) async throws {
        try await with(engine) { store in
            let shares = try await withThrowingTaskGroup(of: Int.self) { group in
                for member in 0..<40 {
                    group.addTask {
                        try await store.share(
                            "t:sum", member: "\(member)", .draw(upTo: 7, limit: 100), timeToLive: .seconds(60)
                        ).share
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(shares.sorted() == Array(repeating: 0, count: 25) + [2] + Array(repeating: 7, count: 14))
        }
    }

    @Test(
        "shares that nobody asks about for their time are forgotten, settled ones after an hour",
        arguments: Engine.byTestClock)
    func shareExpiry(engine: Engine) async throws {
        try await with(engine) { store in
            func ask(
                _ member: String, _ change: CounterShare.Change, for time: Duration = .seconds(10)
            ) async throws -> [Int] {
                let (share, count) = try await store.share("t:sum", member: member, change, timeToLive: time)
                return [share, count]
            }
            _ = try await store.increment("t:kept", limit: .max)
            #expect(try await ask("a", .draw(upTo: 5, limit: 9)) == [5, 5])
            clock.advance(by: .seconds(9))
            #expect(try await ask("a", .draw(upTo: 6, limit: 9)) == [6, 6])
            clock.advance(by: .seconds(9))
            #expect(try await ask("a", .draw(upTo: 0, limit: 9)) == [6, 6])
            clock.advance(by: .seconds(10))
            #expect(try await ask("a", .draw(upTo: 4, limit: 9), for: .seconds(10_000)) == [4, 4])
            #expect(try await ask("b", .settle(2), for: .seconds(10_000)) == [2, 6])
            clock.advance(by: .seconds(3_599))
            #expect(try await ask("b", .draw(upTo: 9, limit: 99), for: .seconds(10_000)) == [2, 6])
            clock.advance(by: .seconds(3_600))
            #expect(try await ask("b", .draw(upTo: 1, limit: 99), for: .seconds(10_000)) == [1, 7])
            #expect(try await store.increment("t:kept", limit: .max) == 2)
        }
    }

    @Test("a memory whose answers are lost does what it is asked")
    func lostAnswers() async throws {
        let store = MemoryStore(clock: clock)
        await store.fail(with: Unreachable(), carryingOut: true)
        await #expect(throws: Unreachable.self) { try await store.set("t:a", [1], timeToLive: nil) }
        await #expect(throws: Unreachable.self) { try await store.increment("t:n", limit: 9) }
        await store.fail(with: nil)
        #expect(try await store.get("t:a") == [1])
        #expect(try await store.increment("t:n", limit: 9) == 2)
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await store.set("t:a", [2], timeToLive: nil) }
        await store.fail(with: nil)
        #expect(try await store.get("t:a") == [1])
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
        let store = try SQLiteStore.watched("path: /nowhere/a.db")
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
            let store = try SQLiteStore.watched("path: \(path)")
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
        case .sqlite: store = try SQLiteStore.watched("path: \(path)", clock: clock)
        case .redis:
            let started = try await RedisServer()
            store = try RedisStore.watched(
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
