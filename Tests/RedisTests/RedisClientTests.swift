import PatchbayPlugin
import Redis
import Synchronization
import TestSupport
import Testing

@Suite("A client of Redis", .serialized, .timeLimit(.minutes(1)))
struct RedisClientTests {
    /// What a client told of its connection.
    private final class Events: Sendable {
        private let told = Mutex<[RedisEvent]>([])
        var all: [RedisEvent] { told.withLock { $0 } }
        func add(_ event: RedisEvent) { told.withLock { $0.append(event) } }
    }

    private let events = Events()

    /// A client of a server that speaks as `script` says; both end with `body`.
    private func with(
        timeout: Duration = .seconds(20), _ script: @escaping FakeRedis.Script = FakeRedis.friendly,
        configure: (inout RedisConfiguration) -> Void = { _ in },
        _ body: (RedisClient, FakeRedis) async throws -> Void
    ) async throws {
        let server = try await FakeRedis(script)
        var configuration = RedisConfiguration(url: try #require(RedisURL("redis://127.0.0.1:\(server.port)")))
        configuration.timeout = timeout
        configuration.backoff.longest = .milliseconds(100)
        configure(&configuration)
        let client = RedisClient(configuration) { [events] in events.add($0) }
        do {
            try await body(client, server)
        } catch {
            await client.close()
            await server.stop()
            throw error
        }
        await client.close()
        await server.stop()
    }

    /// Why a command failed; nil where it did not, or for another reason.
    private func failure(_ command: RedisCommand, _ client: RedisClient) async -> RedisError? {
        do {
            _ = try await client.send(command)
            return nil
        } catch {
            return error as? RedisError
        }
    }

    // MARK: - Replies

    @Test("everybody gets the reply to their own command, however many there are at once")
    func order() async throws {
        try await with { command, _ in
            command[0] == "ECHO" ? .say("$\(command[1].utf8.count)\n\(command[1])\n") : "+OK\n"
        } _: { client, _ in
            try await client.open()
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        try await client.send(RedisCommand("ECHO", .text("n\(number)"))) == .text("n\(number)")
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test("a refusal is an error, in one line, without what was asked")
    func refusal() async throws {
        try await with { command, _ in
            switch command[0] {
            case "GET": "-ERR unknown command 'GET', with args beginning with: 'session:4711' \n"
            case "SET": "-READONLY You can't write against a read only replica.\n"
            case "DEL": .say("-ERR \u{1b}[31m\(String(repeating: "x", count: 1 << 20))\n")
            default: "+OK\n"
            }
        } _: { client, _ in
            try await client.open()
            let get = await failure(RedisCommand("GET", "session:4711"), client)
            #expect(get?.description == "Redis at \(client.server) refuses: ERR unknown command 'GET'")
            let set = await failure(RedisCommand("SET", "a", "b"), client)
            #expect(set?.code == "READONLY" && set?.isUncertain == false)
            let del = await failure(RedisCommand("DEL", "a"), client)
            #expect(del?.description.hasSuffix("ERR  [31m" + String(repeating: "x", count: 191)) == true)
        }
    }

    @Test("a script goes by its digest, and whole where the server does not know it")
    func script() async throws {
        let script = RedisScript("return 1")
        try await with { command, _ in
            switch command[0] {
            case "EVALSHA": "-NOSCRIPT No matching script. Please use EVAL.\n"
            case "EVAL": ":1\n"
            default: "+OK\n"
            }
        } _: { client, server in
            try await client.open()
            #expect(try await client.run(script, keys: ["k"], ["a", .integer(2)]) == .integer(1))
            #expect(
                server.commands.suffix(2) == [
                    ["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "1", "k", "a", "2"],
                    ["EVAL", "return 1", "1", "k", "a", "2"],
                ])
        }
    }

    // MARK: - Greeting

    @Test(
        "says who it is and where it wants to go before anything else",
        arguments: [
            (nil, nil, 0, []), (nil, "sesame", 0, [["AUTH", "sesame"]]),
            ("ada", "sesame", 0, [["AUTH", "ada", "sesame"]]),
            ("ada", "sesame", 3, [["AUTH", "ada", "sesame"], ["SELECT", "3"]]), (nil, nil, 9, [["SELECT", "9"]]),
        ] as [(String?, String?, Int, [[String]])])
    func greeting(user: String?, password: String?, database: Int, greetings: [[String]]) async throws {
        try await with(
            configure: {
                $0.username = user
                $0.password = password.map { Secret($0) }
                $0.url.database = database
            },
            { client, server in
                try await client.open()
                _ = try await client.send(RedisCommand("GET", "a"))
                #expect(server.commands == greetings + [["PING"], ["GET", "a"]])
            })
    }

    @Test(
        "what is wrong with the password is said, the password is not",
        arguments: [
            ("-WRONGPASS invalid username-password pair or user is disabled.\n", "(WRONGPASS)"),
            ("-NOAUTH Authentication required.\n", "wants a password"),
            ("-ERR unknown command AUTH, sesame is no argument of it\n", "(ERR)"),
            ("-ERR Client sent AUTH, but no password is set\n", "no password is set"),
            ("-ERR max number of clients reached\n", "max number of clients"),
        ])
    func credentials(reply: String, text: String) async throws {
        try await with(
            { command, _ in command[0] == "AUTH" ? .say(reply) : "-NOAUTH Authentication required.\n" },
            configure: { $0.password = Secret("sesame") },
            { client, _ in
                let error = await #expect(throws: RedisError.self) { try await client.open() }
                let description = error?.description ?? ""
                #expect(description.contains(text) && !description.contains("sesame"), "\(description)")
            })
    }

    @Test("a server that wants a password says so to a client that has none")
    func noPassword() async throws {
        try await with { _, _ in
            "-NOAUTH Authentication required.\n"
        } _: { client, _ in
            let error = await #expect(throws: RedisError.self) { try await client.open() }
            #expect(error?.description == "Redis at \(client.server) wants a password, and none is set")
        }
    }

    @Test("opening fails where there is nobody, where nobody answers, and where somebody speaks something else")
    func opening() async throws {
        let port = try freePort()
        let nobody = RedisClient(RedisConfiguration(url: try #require(RedisURL("redis://127.0.0.1:\(port)"))))
        let error = await #expect(throws: RedisError.self) { try await nobody.open() }
        #expect(error?.description == "Redis at 127.0.0.1:\(port) cannot be reached: Connection refused")
        try await with(timeout: .milliseconds(100)) { _, _ in
            .silence
        } _: { client, _ in
            let error = await #expect(throws: RedisError.self) { try await client.open() }
            #expect(error?.description.hasSuffix("no answer within 0.1 seconds") == true)
        }
        for (reply, reason) in [
            ("HTTP/1.1 400 Bad Request\n\n", "not the Redis protocol"), ("", "closed the connection"),
        ] {
            try await with { _, _ in
                reply.isEmpty ? .close : .say(reply)
            } _: { client, server in
                let error = await #expect(throws: RedisError.self) { try await client.open() }
                #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
                // It was not there yet, so nobody waits for it to come back.
                #expect(await failure(RedisCommand("PING"), client) == .notOpen(server: client.server))
                #expect(server.opened == 1)
            }
        }
        #expect(events.all.isEmpty)
    }

    // MARK: - Time

    @Test("a command has its time; a reply that comes later is nobody else's")
    func late() async throws {
        try await with(timeout: .milliseconds(500)) { command, _ in
            switch command[0] {
            case "GET": .hold("$4\nlate\n")
            case "ECHO": .say("+\(command[1])\n")
            default: "+OK\n"
            }
        } _: { client, server in
            try await client.open()
            let late = await failure(RedisCommand("GET", "a"), client)
            #expect(late == .noReply(server: client.server, within: .milliseconds(500)) && late?.isUncertain == true)
            async let next = failure(RedisCommand("ECHO", "mine"), client)
            try await eventually { server.count("ECHO") == 1 }
            server.release()
            _ = await next
            #expect(try await client.send(RedisCommand("ECHO", "again")) == .text("again"))
            #expect(server.opened == 1)
        }
    }

    @Test("a silent server gets less time with each further command, and all of it again once it has said something")
    func silent() async throws {
        try await with(timeout: .seconds(1)) { command, _ in
            command[0] == "GET" ? .hold("$-1\n") : "+OK\n"
        } _: { client, server in
            try await client.open()
            let get = RedisCommand("GET", "a")
            #expect(await failure(get, client) == .noReply(server: client.server, within: .seconds(1)))
            for _ in 0..<2 {
                let short = RedisError.noReply(server: client.server, within: .milliseconds(200))
                #expect(await failure(get, client) == short)
            }
            server.release()
            try await eventually { (try? await client.send(RedisCommand("PING"))) != nil }
            #expect(await failure(get, client) == .noReply(server: client.server, within: .seconds(1)))
        }
    }

    @Test("so does one that is slow, until it is not: one that takes more than a third of the time for its last answer")
    func slow() async throws {
        try await with(timeout: .seconds(2)) { command, _ in
            command[0] == "GET" ? .hold("$-1\n") : "+OK\n"
        } _: { client, server in
            try await client.open()
            let get = RedisCommand("GET", "a")
            async let late = client.send(get)
            try await eventually { server.count("GET") == 1 }
            try await Task.sleep(for: .milliseconds(800))
            server.release()
            #expect(try await late == .null)
            #expect(await failure(get, client) == .noReply(server: client.server, within: .milliseconds(400)))
            try await Task.sleep(for: .milliseconds(500))
            server.release()
            // That it is well again is found out though nobody asks.
            try await eventually { server.commands.last == ["PING"] }
            #expect(try await client.send(RedisCommand("ECHO", "a")) == .text("OK"))
            #expect(await failure(get, client) == .noReply(server: client.server, within: .seconds(2)))
        }
    }

    @Test(
        "whoever waits for several has all of them in one time, and what they leave running has its own")
    func patience() async throws {
        try await with { command, _ in
            command[0] == "GET" ? .hold("$-1\n") : "+OK\n"
        } _: { client, server in
            try await client.open()
            let get = RedisCommand("GET", "a")
            let (isOver, over) = AsyncStream<Never>.makeStream()
            let errands = Errands()
            let errand = try await Patience.of(.milliseconds(300)) {
                try await Task.sleep(for: .milliseconds(400))  // what is no question takes nothing off
                if case .noReply(_, let time) = await failure(get, client) {
                    #expect(time > .milliseconds(200) && time <= .milliseconds(300))
                } else {
                    Issue.record("there is a reply")
                }
                #expect(await failure(get, client) == .noTime(server: client.server))
                // What nobody waits for is done meanwhile.
                errands.run("a", for: .seconds(20)) { _ = try await client.send(RedisCommand("SET", "a", "b")) }
                try await eventually { server.count("SET") == 1 }
                return Task {
                    for await _ in isOver {}
                    return try await client.send(RedisCommand("ECHO", "a"))
                }
            }
            over.finish()
            #expect(server.count("GET") == 1)
            server.release()
            #expect(try await errand.value == .text("OK"))
            #expect(try await client.send(RedisCommand("ECHO", "a")) == .text("OK"))
        }
    }

    @Test("one that has become a replica is left too, but not at once, nor when it still is one")
    func replica() async throws {
        try await with(timeout: .milliseconds(400)) { command, connection in
            command[0] == "SET" && connection < 2 ? "-READONLY You can't write against a read only replica.\n" : "+OK\n"
        } _: { client, server in
            try await client.open()
            let begun = ContinuousClock.now
            let set = RedisCommand("SET", "a", "b", isIdempotent: true)
            #expect(await failure(set, client)?.code == "READONLY")
            try await eventually {
                _ = await failure(set, client)
                return server.opened == 3
            }
            #expect(.now - begun > .seconds(3))
            try await eventually { (try? await client.send(set)) == .text("OK") }
            #expect(server.opened == 3 && events.all.isEmpty)
        }
    }

    @Test("a server that stays silent is left for another connection")
    func left() async throws {
        try await with(timeout: .milliseconds(300)) { command, connection in
            command[0] == "GET" && connection == 0 ? .silence : "+OK\n"
        } _: { client, server in
            try await client.open()
            let get = RedisCommand("GET", "a")
            #expect(await failure(get, client) != nil)
            try await eventually { server.opened == 2 }
            try await eventually { try await client.send(get) == .text("OK") }
        }
    }

    @Test("a server that nobody asks anything is asked whether it is there")
    func idle() async throws {
        try await with(timeout: .milliseconds(300)) { client, server in
            try await client.open()
            try await eventually { server.count("PING") >= 2 }
            #expect(server.opened == 1)
        }
    }

    @Test("whoever is cancelled waits no longer, and their reply is nobody else's")
    func cancellation() async throws {
        try await with { command, _ in
            switch command[0] {
            case "GET": .hold("$4\ngone\n")
            case "ECHO": .say("+\(command[1])\n")
            default: "+OK\n"
            }
        } _: { client, server in
            try await client.open()
            let asking = Task { try await client.send(RedisCommand("GET", "a")) }
            try await eventually { server.count("GET") == 1 }
            asking.cancel()
            await #expect(throws: CancellationError.self) { try await asking.value }
            async let next = client.send(RedisCommand("ECHO", "mine"))
            try await eventually { server.count("ECHO") == 1 }
            server.release()
            #expect(try await next == .text("mine"))
            let cancelled = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await client.send(RedisCommand("SET", "a", "b"))
            }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            _ = try await client.send(RedisCommand("ECHO", "end"))
            #expect(server.count("SET") == 0)
        }
    }

    @Test("no more commands wait than may")
    func queue() async throws {
        try await with { command, _ in
            command[0] == "GET" ? .hold("$-1\n") : "+OK\n"
        } configure: {
            $0.queue = 3
        } _: { client, server in
            try await client.open()
            try await withThrowingTaskGroup(of: RESPValue.self) { group in
                for _ in 0..<3 { group.addTask { try await client.send(RedisCommand("GET", "a")) } }
                try await eventually { server.count("GET") == 3 }
                let fourth = await failure(RedisCommand("GET", "a"), client)
                #expect(fourth == .tooMany(server: client.server, limit: 3))
                server.release()
                for try await value in group { #expect(value == .null) }
            }
            #expect(try await client.send(RedisCommand("PING")) == .text("OK"))
        }
    }

    // MARK: - Losing and coming back

    @Test(
        "with the connection goes what was on its way, but for what may be repeated, which is: once",
        .timeLimit(.minutes(1)))
    func lost() async throws {
        try await with { command, connection in
            switch (command[0], connection) {
            case ("INCR", 0): .silence
            case ("GET", 0): .close
            case ("GET", _): "$5\nagain\n"
            default: "+OK\n"
            }
        } _: { client, server in
            try await client.open()
            async let increment = failure(RedisCommand("INCR", "n"), client)
            try await eventually { server.count("INCR") == 1 }
            #expect(try await client.send(RedisCommand("GET", "a", isIdempotent: true)) == .text("again"))
            let lost = await increment
            #expect(lost == .lost(server: client.server, reason: "it closed the connection"))
            #expect(lost?.isUncertain == true)
            #expect(server.count("INCR") == 1 && server.count("GET") == 2 && server.opened == 2)
        }
    }

    @Test("what is lost twice is not tried a third time")
    func lostTwice() async throws {
        try await with { command, _ in
            command[0] == "GET" ? .close : "+OK\n"
        } _: { client, server in
            try await client.open()
            let lost = await failure(RedisCommand("GET", "a", isIdempotent: true), client)
            #expect(lost == .lost(server: client.server, reason: "it closed the connection"))
            #expect(server.count("GET") == 2)
        }
    }

    @Test("while the next connection is made for the first time, commands wait for it")
    func waiting() async throws {
        try await with { command, connection in
            command[0] == "PING" && connection == 1 ? .hold("+PONG\n") : "+OK\n"
        } _: { client, server in
            try await client.open()
            server.cut()
            try await eventually { server.count("PING") == 2 }
            async let waiting = client.send(RedisCommand("GET", "a"))
            async let second = client.send(RedisCommand("SET", "a", "b"))
            try await Task.sleep(for: .milliseconds(50))
            #expect(server.count("GET") == 0)
            server.release()
            #expect(try await waiting == .text("OK"))
            #expect(try await second == .text("OK"))
            #expect(events.all.isEmpty)
        }
    }

    @Test("while a server is away commands fail at once, and when it is back it is found, which is told")
    func away() async throws {
        try await with { client, server in
            try await client.open()
            await server.stop()
            try await eventually { !events.all.isEmpty }
            let begun = ContinuousClock.now
            let reason = RedisError.away(server: client.server, reason: "Connection refused")
            for _ in 0..<100 { #expect(await failure(RedisCommand("PING"), client) == reason) }
            #expect(.now - begun < .seconds(10))
            try await server.start()
            try await eventually { (try? await client.send(RedisCommand("PING"))) != nil }
            #expect(events.all == [.away(reason), .back])
        }
    }

    @Test("a server that comes back with another password is away, and says why")
    func passwordChanged() async throws {
        try await with { command, connection in
            connection == 0 ? "+OK\n" : "-WRONGPASS invalid username-password pair or user is disabled.\n"
        } configure: {
            $0.password = Secret("sesame")
        } _: { client, server in
            try await client.open()
            server.cut()
            try await eventually { !events.all.isEmpty }
            let reason = RedisError.badCredentials(server: client.server, code: "WRONGPASS")
            #expect(events.all == [.away(reason)])
            #expect(await failure(RedisCommand("PING"), client) == reason)
        }
    }

    @Test(
        "what nobody asked for ends a connection, unless it is a push of RESP3",
        arguments: [(">2\n+message\n+hi\n", 1), ("+surprise\n", 2), ("nonsense\n", 2)])
    func unasked(text: String, connections: Int) async throws {
        try await with { client, server in
            try await client.open()
            server.say(text)
            try await eventually { server.opened == connections }
            try await eventually { (try? await client.send(RedisCommand("ECHO", "a"))) == .text("OK") }
            #expect(server.opened == connections)
        }
    }

    @Test("closing fails what waits, twice over does nothing, and opening again works")
    func closing() async throws {
        try await with { command, _ in
            command[0] == "GET" ? .silence : "+OK\n"
        } _: { client, server in
            await client.close()
            try await client.open()
            try await client.open()
            async let waiting = failure(RedisCommand("GET", "a"), client)
            try await eventually { server.count("GET") == 1 }
            await client.close()
            await client.close()
            #expect(await waiting == .lost(server: client.server, reason: "the gateway closed it"))
            #expect(await failure(RedisCommand("PING"), client) == .notOpen(server: client.server))
            try await client.open()
            #expect(try await client.send(RedisCommand("PING")) == .text("OK"))
            #expect(server.opened == 2 && events.all.isEmpty)
        }
    }
}
