internal import NIOCore
internal import NIOPosix
internal import PatchbayPlugin

/// One Redis server, or what speaks like one: a connection that carries everybody's commands, and is made again when it is
/// lost.
///
/// - A command has a time, and fails when that is over; a reply that comes later is passed over.
/// - Where the connection is lost, what was on its way fails, but for what may be repeated. While the next one is made for
///   the first time commands wait for it, within their time; once that has failed they fail at once, until there is one.
/// - A server that is slow, which took more than a third of the time for its last answer or has not given it, is given a
///   fifth of the time with each further command, so that whoever needs several of them is not kept waiting; and what is
///   asked with ``Patience`` has no more than that in all.
/// - One that says nothing at all for five times the time is left for another connection; so is one that takes no writes.
package final class RedisClient: Sendable {
    private let configuration: RedisConfiguration
    private let loop: any EventLoop
    private let link: NIOLoopBoundBox<RedisLink>

    /// Makes a client, without connecting.
    ///
    /// - Parameter onEvent: told when the server is lost and when it is back, on an event loop.
    package init(_ configuration: RedisConfiguration, onEvent: @escaping @Sendable (RedisEvent) -> Void = { _ in }) {
        self.configuration = configuration
        loop = MultiThreadedEventLoopGroup.singleton.next()
        link = .makeBoxSendingValue(RedisLink(configuration, loop: loop, onEvent: onEvent), eventLoop: loop)
    }

    /// The server, for people.
    package var server: String { configuration.url.server }

    /// Connects, once. From then on the client does it by itself.
    ///
    /// - Throws: `RedisError` where there is no connection in time; the client is then as it was before.
    package func open() async throws {
        let isOpen = loop.makePromise(of: Void.self)
        loop.execute { [link] in link.value.open(isOpen) }
        try await isOpen.futureResult.get()
    }

    /// Ends the connection. What waits fails.
    package func close() async {
        let isClosed = loop.makePromise(of: Void.self)
        loop.execute { [link] in link.value.close(isClosed) }
        try? await isClosed.futureResult.get()
    }

    /// Sends a command and waits for its reply, which is none of `error` and `push`.
    ///
    /// - Throws: `RedisError`; `CancellationError` when the task is cancelled, whatever becomes of the command.
    package func send(_ command: RedisCommand) async throws -> RESPValue {
        try await inTime { try await send(command, until: $0) }
    }

    /// Asks within the time of a command, and of whoever waits for more than this one.
    func inTime(_ ask: (_ deadline: RedisDeadline) async throws -> RESPValue) async throws -> RESPValue {
        let left = Patience.left ?? configuration.timeout
        guard left > .zero else { throw RedisError.noTime(server: server) }
        let start = ContinuousClock.now
        defer { Patience.spend(.now - start) }
        return try await ask(RedisDeadline(min(configuration.timeout, left)))
    }

    func send(_ command: RedisCommand, until deadline: RedisDeadline) async throws -> RESPValue {
        do {
            return try await sendOnce(command, until: deadline)
        } catch RedisError.lost where command.isIdempotent && .now() < deadline.end {
            return try await sendOnce(command, until: deadline)
        }
    }

    private func sendOnce(_ command: RedisCommand, until deadline: RedisDeadline) async throws -> RESPValue {
        let reply = loop.makePromise(of: RESPValue.self)
        let bytes = command.encoded
        return try await withTaskCancellationHandler {
            loop.execute { [link] in link.value.submit(RedisWaiter(bytes, reply), until: deadline) }
            return try await reply.futureResult.get()
        } onCancel: {
            reply.fail(CancellationError())
        }
    }
}
