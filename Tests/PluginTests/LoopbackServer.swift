import Crypto
import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// An HTTP server on this machine for one test, which may do what no server should.
final class LoopbackServer: Sendable {
    /// What it does about a request.
    enum Behaviour: Sendable {
        /// Sends these bytes, and closes.
        case sends(String)
        /// Sends these bytes, and then a blank now and then, for ever.
        case drips(String)
        /// Sends nothing.
        case isSilent
        /// Opens a WebSocket (RFC 6455 §4.2.2), and listens.
        case opensSocket
        /// Closes.
        case closes

        /// A response as it should be.
        static func responds(_ status: Int, _ body: String = "", headers: [String] = []) -> Behaviour {
            let head = ["HTTP/1.1 \(status) Any", "content-length: \(body.utf8.count)", "connection: close"] + headers
            return .sends(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
        }
    }

    private let channel: any Channel
    private let requests: Requests

    /// The requests so far: head and body.
    var received: [String] { requests.all.withLock { $0 } }

    /// How many bytes came over its WebSockets so far.
    var heard: Int { requests.heard.withLock { $0 } }

    /// `http://127.0.0.1:PORT`
    var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    /// - Parameter behaviour: what it does about a request, which it is told.
    init(_ behaviour: @escaping @Sendable (String) -> Behaviour) async throws {
        let requests = Requests()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(requests, behaviour))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.requests = requests
    }

    func stop() async throws {
        try await channel.close()
    }

    private final class Requests: Sendable {
        let all = Mutex<[String]>([])
        let heard = Mutex(0)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let requests: Requests
        private let behaviour: @Sendable (String) -> Behaviour
        private var text = ""
        private var isSocket = false

        init(_ requests: Requests, _ behaviour: @escaping @Sendable (String) -> Behaviour) {
            self.requests = requests
            self.behaviour = behaviour
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            if isSocket { return requests.heard.withLock { $0 += bytes.readableBytes } }
            text += String(buffer: bytes)
            guard let end = text.firstRange(of: "\r\n\r\n") else { return }
            let length = text[..<end.lowerBound].split(separator: "\r\n").compactMap { line -> Int? in
                guard line.lowercased().hasPrefix("content-length:") else { return nil }
                return Int(line.dropFirst("content-length:".count).drop { $0 == " " })
            }.first
            guard text[end.upperBound...].utf8.count >= length ?? 0 else { return }
            let request = text
            text = ""
            requests.all.withLock { $0.append(request) }
            let channel = context.channel
            switch behaviour(request) {
            case .sends(let bytes):
                channel.writeAndFlush(ByteBuffer(string: bytes)).whenComplete { _ in channel.close(promise: nil) }
            case .drips(let bytes):
                channel.writeAndFlush(ByteBuffer(string: bytes), promise: nil)
                channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(20)) { task in
                    guard channel.isActive else { return task.cancel() }
                    channel.writeAndFlush(ByteBuffer(string: " "), promise: nil)
                }
            case .opensSocket:
                isSocket = true
                let head = [
                    "HTTP/1.1 101 Switching Protocols", "connection: upgrade", "upgrade: websocket",
                    "sec-websocket-accept: \(Self.accept(request))",
                ]
                channel.writeAndFlush(ByteBuffer(string: head.joined(separator: "\r\n") + "\r\n\r\n"), promise: nil)
            case .isSilent: break
            case .closes: channel.close(promise: nil)
            }
        }

        private static func accept(_ request: String) -> String {
            let name = "sec-websocket-key: "
            let line = request.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name) } ?? ""
            let key = line.dropFirst(name.count) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            return Data(Insecure.SHA1.hash(data: Data(key.utf8))).base64EncodedString()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
