internal import Logging
public import PatchbayPlugin
package import Redis

/// Keeps what plugins store in Redis, or Valkey: for gateways on several machines, which see the same.
///
/// Leases expire by the server's clock, so that gateways need not agree about the time. A value, a counter and a set may have one
/// key, so each kind has keys of its own.
public final class RedisStore: StorePlugin {
    public static let type = "redis"
    public static let summary = "Keeps data in Redis or Valkey, for gateways that share it."

    package let redis: RedisClient
    package let prefix: String

    /// Makes a store that is not connected yet.
    ///
    /// - Throws: a ``SettingsFault`` for settings that do not go together.
    public init(settings: Settings, context: PluginContext) throws {
        prefix = settings.prefix
        redis = RedisClient(try settings.configuration()) { [logger = context.logger] event in
            switch event {
            case .away(let error): logger.error("Redis is away; trying again", metadata: ["error": "\(error)"])
            case .back: logger.notice("Redis is back")
            }
        }
    }

    /// Connects, and makes sure that the server can do what it will be asked: GETDEL came with Redis 6.2, a replica takes no
    /// writes, and one of a cluster has not all keys.
    public func start() async throws {
        try await redis.open()
        do {
            // Needs no right of the ACL that a connection has not; what knows no HELLO is no cluster.
            let hello = try? await redis.send(RedisCommand("HELLO", isIdempotent: true)).elements?.map(\.text)
            if let hello, zip(hello, hello.dropFirst()).contains(where: { $0 == "mode" && $1 == "cluster" }) {
                throw RedisError.isCluster(server: redis.server)
            }
            _ = try await redis.send(RedisCommand("GETDEL", .text(key(.value, "start"))))
        } catch {
            await redis.close()
            throw error
        }
    }

    /// Ends the connection.
    public func stop() async {
        await redis.close()
    }

    public func get(_ key: String) async throws -> [UInt8]? {
        try await value(of: RedisCommand("GET", .text(self.key(.value, key)), isIdempotent: true))
    }

    public func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {
        let words = write(key, value, timeToLive)
        _ = try await redis.send(RedisCommand(words, isIdempotent: true))
    }

    public func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool {
        try await redis.send(RedisCommand(write(key, value, timeToLive) + ["NX"])) != .null
    }

    public func take(_ key: String) async throws -> [UInt8]? {
        try await value(of: RedisCommand("GETDEL", .text(self.key(.value, key))))
    }

    /// A thousand keys at a time: others are served in between, however many there are.
    public func keys(startingWith prefix: String, limit: Int) async throws -> [String] {
        let pattern = RedisCommand.Argument.text(Self.pattern(startingWith: key(.value, prefix)))
        let place = key(.value, "").utf8.count
        var found: Set<String> = []
        var cursor: RedisCommand.Argument = "0"
        repeat {
            // A cursor is of the server that gave it: what another answers to it could have gaps.
            let command = RedisCommand(
                "SCAN", cursor, "MATCH", pattern, "COUNT", .integer(1_000), isIdempotent: cursor == "0")
            guard let reply = try await redis.send(command).elements, reply.count == 2, let next = reply[0].text,
                let keys = reply[1].elements
            else { throw RedisError.strangeReply(server: redis.server) }
            // What is no UTF-8 is none of ours.
            for key in keys.compactMap(\.text) {
                found.insert(String(decoding: key.utf8.dropFirst(place), as: UTF8.self))
            }
            cursor = .text(next)
        } while cursor != "0" && found.count < limit
        return Array(found.prefix(max(0, limit)))
    }

    /// What `MATCH` takes for a text and whatever is behind it.
    private static func pattern(startingWith text: String) -> String {
        let escaped = text.unicodeScalars.reduce(into: "") { pattern, scalar in
            if ["*", "?", "[", "\\"].contains(scalar) { pattern += "\\" }
            pattern.unicodeScalars.append(scalar)
        }
        return escaped + "*"
    }

    public func increment(_ key: String, limit: Int) async throws -> Int? {
        let reply = try await redis.run(Self.increment, keys: [self.key(.counter, key)], [.integer(limit)])
        return reply == .null ? nil : try integer(reply)
    }

    public func counter(_ key: String) async throws -> Int {
        let reply = try await redis.send(RedisCommand("GET", .text(self.key(.counter, key)), isIdempotent: true))
        return reply == .null ? 0 : try integer(reply)
    }

    public func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) {
        let words: [RedisCommand.Argument] =
            switch change {
            case .draw(let wanted, let limit): [amount(wanted), amount(limit)]
            case .settle(let final): [amount(final), ""]
            }
        let lifetimes = [timeToLive, min(timeToLive, CounterShare.memory)].map {
            RedisCommand.Argument.integer($0.milliseconds)
        }
        let reply = try await redis.run(
            Self.share, keys: [self.key(.counter, key), self.key(.share, "\(member):\(key)")], words + lifetimes,
            isIdempotent: true)
        guard let parts = reply.elements, parts.count == 2 else { throw RedisError.strangeReply(server: redis.server) }
        return (try integer(parts[0]), try integer(parts[1]))
    }

    private func amount(_ amount: Int) -> RedisCommand.Argument { .integer(min(max(0, amount), CounterShare.most)) }

    public func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool {
        // Who is in stays in: to enter twice is to enter once.
        let reply = try await redis.run(
            Self.lease, keys: [key(.lease, set)],
            [.text(member), .integer(limit), .integer(timeToLive.milliseconds)], isIdempotent: true)
        return try integer(reply) == 1
    }

    public func release(_ set: String, member: String) async throws {
        _ = try await redis.send(RedisCommand("ZREM", .text(key(.lease, set)), .text(member), isIdempotent: true))
    }

    public func count(_ set: String) async throws -> Int {
        try integer(try await redis.run(Self.count, keys: [key(.lease, set)], [], isIdempotent: true))
    }
}

extension RedisStore: RedisBacked {}

extension RedisStore {
    /// What a key is for.
    private enum Kind: String {
        case value, counter, share, lease
    }

    private func key(_ kind: Kind, _ name: String) -> String { "\(prefix)\(kind.rawValue):\(name)" }

    private func write(_ key: String, _ value: [UInt8], _ timeToLive: Duration?) -> [RedisCommand.Argument] {
        ["SET", .text(self.key(.value, key)), .bytes(value)]
            + (timeToLive.map { ["PX", .integer($0.milliseconds)] } ?? [])
    }

    private func value(of command: RedisCommand) async throws -> [UInt8]? {
        switch try await redis.send(command) {
        case .string(let bytes): bytes
        case .null: nil
        case .integer, .array, .error, .push: throw RedisError.strangeReply(server: redis.server)
        }
    }

    private func integer(_ reply: RESPValue) throws(RedisError) -> Int {
        guard let number = reply.integer ?? reply.text.flatMap({ Int($0) }) else {
            throw .strangeReply(server: redis.server)
        }
        return number
    }
}

extension Duration {
    /// At least 1, for Redis knows no time that is over before it begins; at most a hundred years.
    fileprivate var milliseconds: Int {
        let longest = Duration.seconds(3_155_760_000)
        let (seconds, attoseconds) = min(max(self, .milliseconds(1)), longest).components
        return Int(seconds) * 1_000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}
