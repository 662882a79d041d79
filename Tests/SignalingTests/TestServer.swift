import NIOCore
import NIOPosix
import ServiceLifecycle
import Signaling
import TestSupport
import Testing

/// A server on a free loopback port for as long as `body` runs.
func withServer(
    limits: Limits = Limits(),
    onHTTP: @escaping @Sendable (Request) async -> Response = { _ in Response(status: 404) },
    onUpgrade: @escaping @Sendable (Request) async -> Upgrade = { _ in .refuse(Response(status: 403)) },
    body: (TestServer) async throws -> Void
) async throws {
    let (ports, port) = AsyncStream.makeStream(of: Int.self)
    let server = SignalingServer(
        configuration: ServerConfiguration(host: "127.0.0.1", port: 0, limits: limits), logger: .watched,
        onHTTP: onHTTP, onUpgrade: onUpgrade, onListening: { port.yield($0) })
    let group = ServiceGroup(services: [server], logger: .watched)
    let running = Task { try await group.run() }
    var iterator = ports.makeAsyncIterator()
    let listening = try #require(await iterator.next())
    do {
        try await body(TestServer(port: listening, group: group, running: running))
    } catch {
        running.cancel()
        throw error
    }
    await group.triggerGracefulShutdown()
    try await running.value
}

/// The same for a test of WebSockets only.
func withSockets(
    limits: Limits = Limits(), onUpgrade: @escaping @Sendable (Request) async -> Upgrade,
    body: (TestServer) async throws -> Void
) async throws {
    try await withServer(limits: limits, onUpgrade: onUpgrade, body: body)
}

struct TestServer {
    var port: Int
    var group: ServiceGroup
    var running: Task<Void, any Error>

    var url: String { "ws://127.0.0.1:\(port)" }

    /// Sends bytes over a new connection and gives all that comes back until the server closes.
    func exchange(_ text: String) async throws -> String {
        try await exchange([ByteBuffer(string: text)])
    }

    func exchange(_ chunks: [ByteBuffer], pause: Duration = .zero) async throws -> String {
        String(buffer: try await exchangeBytes(chunks, pause: pause))
    }

    /// - Parameters:
    ///   - settle: whether to wait for something to come back before the second chunk is sent.
    ///   - beforeReading: what to wait for when all is sent, before what came back is read.
    func exchangeBytes(
        _ chunks: [ByteBuffer], pause: Duration = .zero, settle: Bool = false,
        beforeReading: () async -> Void = {}
    ) async throws -> ByteBuffer {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var iterator = inbound.makeAsyncIterator()
            var all = ByteBuffer()
            do {
                for (index, chunk) in chunks.enumerated() {
                    if settle, index == 1, var bytes = try await iterator.next() { all.writeBuffer(&bytes) }
                    do { try await outbound.write(chunk) } catch { break }
                    if pause > .zero { try await Task.sleep(for: pause) }
                }
                await beforeReading()
                while var bytes = try await iterator.next() { all.writeBuffer(&bytes) }
            } catch is IOError {}
            return all
        }
    }

    /// A handshake, then frames, then whatever comes until the server closes.
    func frames(_ frames: [ByteBuffer], path: String = "/", pause: Duration = .zero) async throws -> Reply {
        let chunks = [ByteBuffer(string: handshake(path))] + frames
        return Reply(try await exchangeBytes(chunks, pause: pause, settle: true))
    }
}

/// A connection that is held open.
struct RawConnection {
    private let channel: any Channel

    init(port: Int, reads: Bool = true) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .connect(host: "127.0.0.1", port: port).get()
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    func close() async throws {
        do { try await channel.close() } catch ChannelError.alreadyClosed {}
    }
}
