internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket
internal import ServiceLifecycle
internal import WebSocket

/// One accepted connection.
struct HTTPConnection: ServerChildChannelValue {
    let channel: any Channel
    let requests: AsyncStream<RequestHandler.Incoming>
    let handlers: NIOLoopBound<HTTPHandlers>
}

/// The handlers of a connection that speaks HTTP, from the socket inwards.
struct HTTPHandlers {
    let encoder = HTTPResponseEncoder()
    let decoder: ByteToMessageHandler<HTTPRequestDecoder>
    let pipelining = HTTPServerPipelineHandler()
    let validator = NIOHTTPResponseHeadersValidator()
    let requests: RequestHandler

    init(limits: Limits) {
        var bounds = NIOHTTPDecoderLimitConfiguration()
        bounds.maxHeaderFieldSize = limits.headSize
        bounds.maxHeaderListSize = limits.headSize
        bounds.maxHeaderFieldCount = limits.headFields
        decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: bounds),
            maximumBufferSize: 2 * limits.headSize)
        requests = RequestHandler(limits: limits)
    }
}

/// HTTP/1.1 (RFC 9112) on each accepted connection, and WebSocket (RFC 6455) where a request asks for it.
/// Any request of a connection may ask: proxies reuse connections.
struct HTTPConnectionSetup: ServerChildChannel {
    let limits: Limits
    let onHTTP: @Sendable (Request) async -> Response
    let onUpgrade: @Sendable (Request) async -> Upgrade

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTPConnection> {
        channel.eventLoop.makeCompletedFuture {
            let handlers = HTTPHandlers(limits: limits)
            try channel.pipeline.syncOperations.addHandlers([
                handlers.encoder, handlers.decoder, handlers.pipelining, handlers.validator, handlers.requests,
            ])
            return HTTPConnection(
                channel: channel, requests: handlers.requests.requests,
                handlers: NIOLoopBound(handlers, eventLoop: channel.eventLoop))
        }
    }

    func handle(value connection: HTTPConnection, logger: Logger) async {
        await withTaskCancellationHandler {
            for await incoming in connection.requests {
                guard Self.isWebSocket(incoming.head) else {
                    await respond(await onHTTP(incoming.request), on: connection)
                    continue
                }
                await upgrade(incoming, on: connection)
            }
            try? await connection.channel.closeFuture.get()
        } onCancel: {
            connection.channel.close(promise: nil)
        }
    }

    private func respond(_ response: Response, on connection: HTTPConnection) async {
        try? await connection.channel.eventLoop.submit { connection.handlers.value.requests.respond(response) }.get()
    }

    private static func isWebSocket(_ head: HTTPRequestHead) -> Bool {
        head.method == .GET && head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
            && head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
    }

    /// RFC 6455 §4.2.2.
    private func upgrade(_ incoming: RequestHandler.Incoming, on connection: HTTPConnection) async {
        let channel = connection.channel
        let upgrader = NIOTypedWebSocketServerUpgrader<Void>(
            maxFrameSize: limits.webSocket.messageSize, enableAutomaticErrorHandling: false,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        guard
            var headers = try? await upgrader.buildUpgradeResponse(
                channel: channel, upgradeRequest: incoming.head, initialResponseHeaders: [:]
            ).get()
        else {
            let response = Response(status: 400, headers: ["sec-websocket-version": "13"])
            return await respond(response, on: connection)
        }
        switch await onUpgrade(incoming.request) {
        case .refuse(let response): await respond(response, on: connection)
        case .accept(let subprotocol, let handler):
            if let subprotocol { headers.add(name: "sec-websocket-protocol", value: subprotocol) }
            let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
            let socket = try? await channel.eventLoop.flatSubmit {
                switchProtocols(connection, head: head, request: incoming, upgrader: upgrader)
            }.get()
            guard let socket else { return channel.close(promise: nil) }
            await withGracefulShutdownHandler {
                await handler(socket)
                await socket.close(code: 1000, reason: "")
            } onGracefulShutdown: {
                socket.startClose(code: 1012, reason: "server is shutting down")
            }
        }
    }

    /// Sends 101 and replaces the handlers for HTTP by those for WebSocket, in one turn of the event loop.
    private func switchProtocols(
        _ connection: HTTPConnection, head: HTTPResponseHead, request: RequestHandler.Incoming,
        upgrader: NIOTypedWebSocketServerUpgrader<Void>
    ) -> EventLoopFuture<WebSocketConnection> {
        let channel = connection.channel
        let address = request.request.remoteAddress
        do {
            guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
            let pipeline = channel.pipeline.syncOperations
            channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
            let handler = WebSocketHandler(limits: limits.webSocket, role: .server, remoteAddress: address)
            let handlers = connection.handlers.value
            let old: [any RemovableChannelHandler] = [
                handlers.requests, handlers.validator, handlers.pipelining, handlers.encoder,
            ]
            for handler in old { _ = pipeline.removeHandler(handler) }
            let upgraded = upgrader.upgrade(channel: channel, upgradeRequest: request.head)
            try pipeline.addHandler(handler)
            // Last: bytes that came after the request go to the handlers just added.
            let removed = pipeline.removeHandler(handlers.decoder)
            let socket = handler.makeConnection(on: channel)
            channel.read()
            return upgraded.and(removed).map { _ in socket }
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
    }
}
