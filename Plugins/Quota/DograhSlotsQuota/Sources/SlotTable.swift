internal import Redis

/// Dograh's slots in its Redis, as Dograh itself keeps them, and beside them a list of those that gateways hold.
///
/// | key | | content |
/// |---|---|---|
/// | `concurrent_calls:{org}` | sorted set | slot id; its score is when it was taken or renewed, in seconds since 1970 |
/// | `concurrent_calls:{scope}` | sorted set | the same, for a scope such as `campaign:42` |
/// | `concurrent_calls_fleet` | sorted set | `{org}:{slot}`, one for each call |
/// | `workflow_slot_mapping:{run}` | hash | `org_id`, `slot_id`, `scope_key`; where the run is one of Dograh's |
/// | `{prefix}dograh_slots` | sorted set | ours: the slot's entry; its score is when the gateway's lease on it ends |
struct SlotTable: Sendable {
    enum Outcome: Hashable, Sendable {
        /// With the calls of the organisation, this one among them.
        case taken(Int)
        /// With the calls of the organisation.
        case full(Int)
        /// With the calls of the scope.
        case scopeFull(Int)
        /// The run has a slot already.
        case bound
    }

    private let redis: RedisClient
    private let list: String
    /// How long a slot is held without being renewed, in seconds.
    private let lifetime: Int

    init(_ store: any RedisBacked, lifetime: Int) {
        redis = store.redis
        list = "\(store.prefix)dograh_slots"
        self.lifetime = lifetime
    }

    /// Takes a slot in all of its sets and binds its run to it, where it has one, or leaves everything as it is.
    func acquire(_ slot: Slot, limit: Int, scopeLimit: Int) async throws -> Outcome {
        let reply = try await run(
            Self.acquire, slot, [.integer(lifetime), .integer(limit), .integer(scopeLimit)], isIdempotent: false)
        guard let parts = reply.elements, parts.count == 2, let count = parts[1].integer else { throw strange }
        switch parts[0].text {
        case "taken": return .taken(count)
        case "full": return .full(count)
        case "scope full": return .scopeFull(count)
        case "bound": return .bound
        default: throw strange
        }
    }

    /// Renews a slot.
    ///
    /// - Parameter enters: whether it is entered again where it is gone.
    /// - Returns: whether all of it was there, or is there again.
    func renew(_ slot: Slot, enters: Bool) async throws -> Bool {
        try await run(
            Self.renew, slot, [.integer(lifetime), .text(enters ? "" : "XX")], isIdempotent: true
        ).integer == 1
    }

    /// Gives a slot back; one that is gone is no fault.
    ///
    /// - Parameter ifExpired: only when its gateway has not renewed it in time.
    /// - Returns: whether there was one.
    @discardableResult
    func release(_ slot: Slot, ifExpired: Bool = false) async throws -> Bool {
        try await run(Self.release, slot, [.text(ifExpired ? "expired" : "")], isIdempotent: true).integer == 1
    }

    /// How many calls an organisation has, those of Dograh among them.
    func calls(of organization: String) async throws -> Int {
        let reply = try await redis.run(Self.count, keys: ["concurrent_calls:\(organization)"], [], isIdempotent: true)
        guard let calls = reply.integer else { throw strange }
        return calls
    }

    /// Gives back what gateways have left behind.
    ///
    /// - Returns: which slots those were.
    func reclaim() async throws -> [Slot] {
        var reclaimed: [Slot] = []
        // A server that means no good could go on for ever.
        for _ in 0..<64 {
            let entries = try await leftovers()
            for case .string(let entry) in entries {
                if let slot = String(validating: entry, as: UTF8.self).flatMap(Slot.init(entry:)) {
                    if try await release(slot, ifExpired: true) { reclaimed.append(slot) }
                } else {
                    // Nobody can say what it was.
                    _ = try await redis.send(RedisCommand("ZREM", .text(list), .bytes(entry), isIdempotent: true))
                }
            }
            if entries.count < Self.batch { break }
        }
        return reclaimed
    }

    /// Some of what was not renewed in time, as it stands in the list. Changes nothing.
    func leftovers() async throws -> [RESPValue] {
        guard let entries = try await redis.run(Self.expired, keys: [list], [], isIdempotent: true).elements else {
            throw strange
        }
        return entries
    }

    private func run(
        _ script: RedisScript, _ slot: Slot, _ rest: [RedisCommand.Argument], isIdempotent: Bool
    ) async throws -> RESPValue {
        var keys = ["concurrent_calls:\(slot.organization)", "concurrent_calls_fleet", list]
        if let run = slot.run { keys.append("workflow_slot_mapping:\(run)") }
        if let scope = slot.scope { keys.append("concurrent_calls:\(scope)") }
        let names = [slot.id, slot.organization, slot.entry, slot.run.map(String.init) ?? "", slot.scope ?? ""]
        return try await redis.run(
            script, keys: keys, names.map { .text($0) } + rest, isIdempotent: isIdempotent)
    }

    private var strange: RedisError { .strangeReply(server: redis.server) }
}
