internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOWebSocket

/// One request and its response on a connection of its own, or the switch to WebSocket the request asked for.
struct Exchange: Sendable {
    var head: HTTPRequestHead
    var body: [UInt8]
    var limits = WebSocketLimits()
    var tls: ClientTLS?
    /// From the look-up of the host to the response.
    var timeout = Duration.seconds(10)
    var upgrader: NIOTypedWebSocketClientUpgrader<Void>?

    enum Outcome: Sendable {
        case response(status: Int, body: String)
        case switched(WebSocketConnection)
    }

    func run(_ url: ClientURL) async throws -> Outcome {
        let group = MultiThreadedEventLoopGroup.singleton
        let loop = group.next()
        let outcome = loop.makePromise(of: Outcome.self)
        let tls: ClientTLS?
        do {
            tls = url.isSecure ? try self.tls ?? ClientTLS() : nil
        } catch {
            outcome.fail(error)
            throw WebSocketError.cannotConnect(host: url.host, port: url.port, reason: failureReason(error))
        }
        // Neither the look-up of a name nor a TCP handshake can be cancelled: what comes too late is closed.
        let connecting = ClientBootstrap(group: loop).connectTimeout(TimeAmount(timeout))
            .channelOption(.allowRemoteHalfClosure, value: true)
            // What is read of one peer before the next has its turn; small messages are many even so.
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
            .channelOption(.maxMessagesPerRead, value: 1)
            // What nobody has read yet is heard even so when the peer has gone: seconds of sound, not minutes.
            .channelOption(.socketOption(.so_rcvbuf), value: 128 * 1024)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ExchangeHandler(exchange: self, host: url.host, outcome: outcome)
                    if let tls { try channel.pipeline.syncOperations.addHandler(tls.handler(host: url.host)) }
                    try channel.pipeline.syncOperations.addHandlers([
                        handler.encoder, handler.decoder, handler.validator, handler,
                    ])
                }
            }
            .connect(host: url.host, port: url.port)
        connecting.whenFailure { error in
            outcome.fail(
                WebSocketError.cannotConnect(host: url.host, port: url.port, reason: failureReason(error)))
        }
        let timer = loop.scheduleTask(in: TimeAmount(timeout)) {
            outcome.fail(WebSocketError.noResponse(reason: "none within \(rounded(timeout))"))
        }
        outcome.futureResult.whenComplete { _ in timer.cancel() }
        outcome.futureResult.whenFailure { _ in connecting.whenSuccess { $0.close(promise: nil) } }
        return try await withTaskCancellationHandler {
            try await outcome.futureResult.get()
        } onCancel: {
            outcome.fail(CancellationError())
        }
    }
}

/// Sends the request, gathers the response.
final class ExchangeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// Of a response's body.
    private static let maximumBody = 1 << 20

    let encoder = HTTPRequestEncoder()
    let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
    let validator = NIOHTTPRequestHeadersValidator()
    private let exchange: Exchange
    private let host: String
    private let outcome: EventLoopPromise<Exchange.Outcome>
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []
    /// Frames that came right behind the 101, while handlers are exchanged.
    private var held: [NIOAny]?
    private var inputClosed = false

    init(exchange: Exchange, host: String, outcome: EventLoopPromise<Exchange.Outcome>) {
        self.exchange = exchange
        self.host = host
        self.outcome = outcome
    }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        if !exchange.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: exchange.body)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if held != nil {
            held?.append(data)
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let bytes):
            guard body.count + bytes.readableBytes <= Self.maximumBody else {
                return fail(context, "body over \(Self.maximumBody) bytes")
            }
            body.append(contentsOf: bytes.readableBytesView)
        case .end:
            guard let head else { return }
            if head.status == .switchingProtocols { return switchProtocols(context, head) }
            outcome.succeed(.response(status: Int(head.status.code), body: String(decoding: body, as: UTF8.self)))
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if held == nil { outcome.fail(WebSocketError.noResponse(reason: "connection closed")) }
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        if held == nil { context.close(promise: nil) } else { inputClosed = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(context, failureReason(error))
    }

    private func fail(_ context: ChannelHandlerContext, _ reason: String) {
        outcome.fail(WebSocketError.noResponse(reason: reason))
        context.close(promise: nil)
    }

    private func switchProtocols(_ context: ChannelHandlerContext, _ head: HTTPResponseHead) {
        guard let upgrader = exchange.upgrader, upgrader.shouldAllowUpgrade(upgradeResponse: head) else {
            return fail(context, "bad Sec-WebSocket-Accept (RFC 6455 §4.1)")
        }
        held = []
        let pipeline = context.pipeline.syncOperations
        _ = pipeline.removeHandler(validator)
        _ = pipeline.removeHandler(encoder)
        // The decoder also sees what is written, so nothing may be until it is gone.
        pipeline.removeHandler(decoder).assumeIsolated().flatMapThrowing { [self] in
            let channel = context.channel
            _ = upgrader.upgrade(channel: channel, upgradeResponse: head)
            let handler = WebSocketHandler(
                limits: exchange.limits, role: .client, remoteAddress: channel.remoteAddress?.ipAddress ?? host)
            try pipeline.addHandler(handler)
            let socket = handler.makeConnection(on: channel)
            _ = pipeline.removeHandler(self)
            return .switched(socket)
        }.flatMapErrorThrowing { _ in
            throw WebSocketError.noResponse(reason: "connection closed")
        }.nonisolated().cascade(to: outcome)
    }

    func removeHandler(context: ChannelHandlerContext, removalToken: ChannelHandlerContext.RemovalToken) {
        for data in held ?? [] { context.fireChannelRead(data) }
        if inputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.leavePipeline(removalToken: removalToken)
    }
}
