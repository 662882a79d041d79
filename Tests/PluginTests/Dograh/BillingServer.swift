import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A server on loopback that reads one request of each connection, and does with it what it is told.
final class BillingServer: Sendable {
    enum Behaviour: Sendable {
        /// A whole answer, so much later.
        case answers(Int, String, fields: [String] = [], after: TimeAmount = .zero)
        /// Something, and then the end of the connection.
        case sends(String, then: Ending)

        enum Ending: Sendable {
            case close, reset
            /// Nothing more comes, and the connection stays.
            case silence
        }

        fileprivate var text: String {
            switch self {
            case .sends(let text, _): return text
            case .answers(let status, let body, let fields, _):
                let head = ["HTTP/1.1 \(status) Whatever", "Content-Length: \(body.utf8.count)"] + fields
                return head.joined(separator: "\r\n") + "\r\n\r\n" + body
            }
        }

        fileprivate var ending: Ending {
            switch self {
            case .sends(_, let ending): ending
            // Clients that keep connections may send more.
            case .answers: .silence
            }
        }
    }

    /// What it is asked, as far as an answer depends on it.
    struct Question: Sendable {
        /// The last two parts of the path.
        var name: String
        /// The bearer's, if any.
        var key: String?

        fileprivate init(_ request: String) {
            let lines = request.split(separator: "\r\n")
            let path = lines.first?.split(separator: " ").dropFirst().first ?? ""
            name = path.split(separator: "/").suffix(2).joined(separator: "/")
            let bearer = "authorization: bearer "
            key = lines.first { $0.lowercased().hasPrefix(bearer) }.map { String($0.dropFirst(bearer.count)) }
        }
    }

    private let requests = Mutex<[String]>([])
    private let channel = Mutex<(any Channel)?>(nil)

    /// Starts to listen on a port that is free, and does the same about whatever it is asked.
    convenience init(_ behaviour: Behaviour) async throws {
        try await self.init { _ in behaviour }
    }

    /// Starts to listen on a port that is free, and does about each question what it is told.
    init(_ behaviour: @escaping @Sendable (Question) -> Behaviour) async throws {
        let bound = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        RequestReader(behaviour) { request in self.requests.withLock { $0.append(request) } })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channel.withLock { $0 = bound }
    }

    var url: String { "http://127.0.0.1:\(channel.withLock { $0?.localAddress?.port } ?? 0)" }

    /// Each as it came, head and body.
    var received: [String] { requests.withLock { $0 } }

    /// The same, as far as an answer depends on it.
    var questions: [Question] { received.map { Question($0) } }

    func stop() async throws {
        try await channel.withLock { $0 }?.close()
    }
}

private final class RequestReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let behaviour: @Sendable (BillingServer.Question) -> BillingServer.Behaviour
    private let onRequest: (String) -> Void
    private var text = ""

    init(
        _ behaviour: @escaping @Sendable (BillingServer.Question) -> BillingServer.Behaviour,
        onRequest: @escaping (String) -> Void
    ) {
        self.behaviour = behaviour
        self.onRequest = onRequest
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        text += String(buffer: unwrapInboundIn(data))
        guard isWhole else { return }
        onRequest(text)
        let behaviour = behaviour(BillingServer.Question(text))
        text = ""
        if case .answers(_, _, _, let delay) = behaviour, delay > .zero {
            let (channel, answer) = (context.channel, ByteBuffer(string: behaviour.text))
            context.eventLoop.scheduleTask(in: delay) { channel.writeAndFlush(answer, promise: nil) }
            return
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: behaviour.text)), promise: nil)
        switch behaviour.ending {
        case .silence: break
        case .close: context.close(promise: nil)
        case .reset:
            let channel = context.channel
            // What was sent is to arrive first.
            context.eventLoop.scheduleTask(in: .milliseconds(50)) {
                (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                    .whenComplete { _ in channel.close(promise: nil) }
            }
        }
    }

    private var isWhole: Bool {
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        guard let head = parts.first, parts.count == 2 else { return false }
        let length = head.split(separator: "\r\n").lazy.compactMap { line -> Int? in
            let field = line.split(separator: ": ", maxSplits: 1)
            return field.first?.lowercased() == "content-length" ? field.last.flatMap { Int($0) } : nil
        }.first
        return parts[1].utf8.count >= length ?? 0
    }
}
