import Glibc
import NIOCore
import NIOPosix
import Testing
import WebSocket

/// A port where connections are begun and never made: its queue is full, and nobody takes from it.
private struct FullListener {
    let port: Int
    let sockets: [Int32]

    init() throws {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let sockets = (0..<5).map { _ in socket(AF_INET, kind, 0) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard unsafe bind(sockets[0], address, length) == 0, listen(sockets[0], 0) == 0,
                    unsafe getsockname(sockets[0], address, &length) == 0
                else { return false }
                for filler in sockets.dropFirst() { _ = unsafe connect(filler, address, length) }
                return true
            }
        }
        try #require(isListening)
        port = Int(UInt16(bigEndian: address.sin_port))
        self.sockets = sockets
    }

    func end() {
        for socket in sockets { close(socket) }
    }
}

@Suite("Connecting to a WebSocket server", .timeLimit(.minutes(1)))
struct ConnectingTests {
    @Test("ends in time where no TCP connection comes about, at once when it is cancelled", arguments: [false, true])
    func patience(isCancelled: Bool) async throws {
        let listener = try FullListener()
        defer { listener.end() }
        let begun = ContinuousClock.now
        let connecting = Task {
            try await WebSocketClient.connect(
                url: "ws://127.0.0.1:\(listener.port)/", within: isCancelled ? .seconds(50) : .milliseconds(300))
        }
        try await Task.sleep(for: .milliseconds(100))
        if isCancelled { connecting.cancel() }
        await #expect(throws: (any Error).self) { try await connecting.value }
        #expect(.now - begun < .seconds(5))
    }

    private func failure(of url: String, within timeout: Duration = .seconds(10)) async -> String {
        let error = await #expect(throws: WebSocketError.self) {
            try await WebSocketClient.connect(url: url, within: timeout)
        }
        return error?.description ?? ""
    }

    @Test("says in plain words why there is no connection")
    func reasons() async throws {
        #expect(await failure(of: "ws://127.0.0.1:1/") == "cannot connect to 127.0.0.1 port 1: connection refused")
        // An empty label is in no name, so that no server need be asked.
        #expect(await failure(of: "ws://a..b/") == "cannot connect to a..b port 80: no such host")
        let listener = try FullListener()
        defer { listener.end() }
        let late = await failure(of: "ws://127.0.0.1:\(listener.port)/", within: .microseconds(299_998))
        #expect(late.hasSuffix(" within 300 ms"), "\(late)")
    }

    @Test(
        "says in plain words what kind of server is there",
        arguments: [
            ("ws", "SSH-2.0-OpenSSH_9.2p1\r\n", "no response: not an HTTP server"),
            ("wss", "HTTP/1.1 400 Bad Request\r\n\r\n", "no response: not a TLS server"),
            ("wss", "", "no response: connection closed during the TLS handshake"),
            ("ws", "", "no response: connection closed"),
            ("ws", "HTTP/1.1 101 Switching", "no response: connection closed"),
        ])
    func otherServers(scheme: String, says: String, expected: String) async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Talker(says: says))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        #expect(await failure(of: "\(scheme)://127.0.0.1:\(port)/") == expected)
        try await server.close()
    }
}

/// Says the same to everybody once it is spoken to, and closes.
private final class Talker: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let says: String

    init(says: String) {
        self.says = says
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: says)), promise: nil)
        context.close(promise: nil)
    }
}
