import PatchbayPlugin
import Redis
import RedisStore
import TestSupport
import Testing

/// A Redis of a test's own, a store in it, and a way to look into it.
struct RedisFixture {
    let server: RedisServer
    let store: RedisStore
    let raw: RedisClient

    /// Runs `body` with both connected, and ends them.
    static func with(
        _ settings: String = "", options: [String] = [], _ body: (RedisFixture) async throws -> Void
    ) async throws {
        let server = try await RedisServer(options)
        let url = "redis://127.0.0.1:\(server.port)"
        var configuration = RedisConfiguration(url: try #require(RedisURL(url)))
        configuration.timeout = .seconds(20)
        let fixture = RedisFixture(
            server: server, store: try store(server, settings), raw: RedisClient(configuration))
        do {
            try await fixture.store.start()
            try await fixture.raw.open()
            try await body(fixture)
        } catch {
            await fixture.end()
            throw error
        }
        await fixture.end()
    }

    /// Another store in the same Redis, not started.
    static func store(_ server: RedisServer, _ settings: String = "") throws -> RedisStore {
        try RedisStore.watched(
            "{ url: \"redis://127.0.0.1:\(server.port)\"\(settings.isEmpty ? "" : ", " + settings) }")
    }

    private func end() async {
        await store.stop()
        await raw.close()
        server.kill()
    }

    /// Asks Redis itself; an integer, or text that is one.
    func integer(_ words: RedisCommand.Argument...) async throws -> Int? {
        let reply = try await raw.send(RedisCommand(words))
        return reply.integer ?? reply.text.flatMap { Int($0.prefix { $0 != "." }) }
    }

    /// Asks Redis itself, for a list of texts.
    func texts(_ words: RedisCommand.Argument...) async throws -> [String] {
        try await raw.send(RedisCommand(words)).elements?.compactMap(\.text) ?? []
    }

    /// Waits for what happens by itself.
    func eventually(
        _ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for _ in 0..<2000 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it did not come to pass in 20 s", sourceLocation: sourceLocation)
    }
}
