import NIOCore
import NIOPosix
import Redis
import Synchronization

/// A server on a free port of loopback that says what the test says.
final class FakeRedis: Sendable {
    enum Answer: Sendable, ExpressibleByStringLiteral {
        /// Bytes, with CR LF for each newline.
        case say(String)
        /// The same when `release` is called; whatever is to be said after it waits too.
        case hold(String)
        /// Nothing, ever.
        case silence
        /// The end of the connection.
        case close

        init(stringLiteral text: String) { self = .say(text) }
    }

    /// Of the first word, in capitals, and the rest; and how many connections there were before.
    typealias Script = @Sendable (_ command: [String], _ connection: Int) -> Answer

    private struct State {
        var listener: (any Channel)?
        var port = 0
        var connections: [NIOLoopBound<Connection>] = []
        var opened = 0
        var commands: [[String]] = []
    }

    private let script: Script
    private let state = Mutex(State())

    /// What every server says to a greeting.
    static let friendly: Script = { command, _ in command[0] == "PING" ? "+PONG\n" : "+OK\n" }

    init(_ script: @escaping Script = FakeRedis.friendly) async throws {
        self.script = script
        try await start()
    }

    /// The same after a stop and a start.
    var port: Int { state.withLock { $0.port } }

    /// Every command that came, on any connection, in order.
    var commands: [[String]] { state.withLock { $0.commands } }

    /// How many connections there were.
    var opened: Int { state.withLock { $0.opened } }

    func count(_ name: String) -> Int { commands.count { $0[0] == name } }

    func start() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(self.admit(channel))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        state.withLock { ($0.listener, $0.port) = (listener, listener.localAddress?.port ?? 0) }
    }

    private func admit(_ channel: any Channel) -> Connection {
        state.withLock { state in
            let connection = Connection(server: self, number: state.opened)
            state.opened += 1
            state.connections.append(NIOLoopBound(connection, eventLoop: channel.eventLoop))
            return connection
        }
    }

    /// Ends all connections, and takes no more.
    func stop() async {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        try? await listener?.close()
        cut()
    }

    /// Ends all connections.
    func cut() {
        each { $0.close() }
    }

    /// Says what was held back.
    func release() {
        each { $0.release() }
    }

    /// Says something that nobody asked for.
    func say(_ text: String) {
        each { $0.say(text) }
    }

    private func each(_ body: @escaping @Sendable (Connection) -> Void) {
        for connection in state.withLock(\.connections) {
            connection.eventLoop.execute { body(connection.value) }
        }
    }

    fileprivate func answer(_ command: [String], _ number: Int) -> Answer {
        state.withLock { $0.commands.append(command) }
        return script(command, number)
    }
}

/// One client's.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: FakeRedis
    private let number: Int
    private var decoder = RESPDecoder()
    private var context: ChannelHandlerContext?
    private var held: [String]?

    fileprivate init(server: FakeRedis, number: Int) {
        self.server = server
        self.number = number
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        decoder.append(unwrapInboundIn(data).readableBytesView)
        while let command = try? decoder.next() {
            let words = command.elements?.compactMap(\.text) ?? []
            switch server.answer(words, number) {
            case .say(let text): if held == nil { say(text) } else { held?.append(text) }
            case .hold(let text): held = (held ?? []) + [text]
            case .silence: break
            case .close: return close()
            }
        }
    }

    func release() {
        let texts = held ?? []
        held = nil
        for text in texts { say(text) }
    }

    func say(_ text: String) {
        context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: wire(text))), promise: nil)
    }

    func close() {
        context?.close(promise: nil)
    }
}
