internal import NIOCore
internal import NIOHTTP1

/// Gathers one request at a time, hands it on whole, writes its response, and closes when a deadline passes.
/// An `HTTPServerPipelineHandler` before it holds back the next request until the response is out.
final class RequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// A request and the head it came with, which the WebSocket handshake needs.
    struct Incoming: Sendable {
        var request: Request
        var head: HTTPRequestHead
    }

    private enum Phase {
        case head, body, handling, closing
    }

    let requests: AsyncStream<Incoming>
    private let yield: AsyncStream<Incoming>.Continuation
    private let limits: Limits
    private var phase = Phase.head
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var closeAfterResponse = false
    private var inputClosed = false
    /// Whether the parser still consumes what comes, so that it can be drained while the peer reads our last response.
    private var parses = true
    private var written = false
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(limits: Limits) {
        self.limits = limits
        (requests, yield) = AsyncStream.makeStream()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        arm(limits.headTime)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        yield.finish()
        self.context = nil
    }

    /// One deadline at a time; the one for the phase just entered.
    private func arm(_ duration: Duration?) {
        deadline?.cancel()
        guard let context, let duration else { return }
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(duration)) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), phase) {
        case (.head(let head), .head):
            self.head = head
            body = []
            // The parser stops at a request to switch protocols, so nothing can follow it on this connection.
            parses = !head.headers.contains(name: "upgrade")
            closeAfterResponse = !head.isKeepAlive || !parses
            phase = .body
            arm(limits.headTime)
        case (.body(let bytes), .body):
            guard body.count + bytes.readableBytes <= limits.bodySize else { return refuse(413) }
            body.append(contentsOf: bytes.readableBytesView)
        case (.end, .body):
            guard let head else { return }
            let address = context.channel.remoteAddress.map(Self.plainAddress) ?? ""
            guard let request = Request(head: head, body: body, remoteAddress: address) else { return refuse(400) }
            phase = .handling
            arm(nil)
            yield.yield(Incoming(request: request, head: head))
        case (.head, _), (.body, _), (.end, _): break
        }
    }

    private static func plainAddress(_ address: SocketAddress) -> String {
        let text = address.ipAddress ?? ""
        return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // On a channel that is gone, or going in a shutdown, there is nobody to answer.
        guard let error = error as? HTTPParserError, context.channel.isActive, phase == .head || phase == .body else {
            return context.close(promise: nil)
        }
        refuse(error == .headerOverflow ? 431 : 400)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        closeAfterResponse = true
        inputClosed = true
        if phase == .head || phase == .body || (phase == .closing && written) { context.close(promise: nil) }
    }

    private func refuse(_ status: Int) {
        closeAfterResponse = true
        respond(Response(status: status))
    }

    /// Writes the response to the request in hand.
    func respond(_ response: Response) {
        guard let context, phase != .closing else { return }
        let response = response.readable(by: self.head)
        // Set before the end is written: a pipelining client's next request arrives inside that call.
        phase = closeAfterResponse ? .closing : .head
        arm(limits.responseTime)
        var headers = HTTPHeaders(response.headers.map { ($0.key, $0.value) })
        if response.status != 204, response.status != 304 {
            headers.replaceOrAdd(name: "content-length", value: String(response.body.count))
        }
        if closeAfterResponse { headers.replaceOrAdd(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !response.body.isEmpty, self.head?.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        self.head = nil
        let end = context.eventLoop.makePromise(of: Void.self)
        end.futureResult.assumeIsolated().whenComplete { _ in self.responseWritten() }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: end)
    }

    /// The response is with the kernel. A last one is followed by what a peer still sends, unread bytes would reset
    /// the connection and take the response with them.
    private func responseWritten() {
        guard let context else { return }
        switch phase {
        case .head: arm(limits.headTime)
        case .body, .handling: break
        case .closing:
            written = true
            context.close(mode: parses && !inputClosed ? .output : .all, promise: nil)
        }
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        self = .nanoseconds(
            duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000)
    }
}
