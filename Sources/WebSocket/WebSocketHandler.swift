package import NIOCore
package import NIOWebSocket

/// RFC 6455 above the frames: joins fragments, answers pings, keeps the limits, and does the closing handshake.
package final class WebSocketHandler: ChannelDuplexHandler {
    package typealias InboundIn = WebSocketFrame
    package typealias OutboundIn = WebSocketFrame
    package typealias OutboundOut = WebSocketFrame

    /// Which end we are. A client masks what it sends (RFC 6455 §5.3), and a server that says too much waits.
    package enum Role: Sendable {
        case client, server
    }

    private let limits: WebSocketLimits
    private let role: Role
    private let remoteAddress: String
    private let stream: AsyncStream<WebSocketConnection.Inbound>
    private let yield: AsyncStream<WebSocketConnection.Inbound>.Continuation
    /// The end, where it is no good one, as soon as it is known.
    private let loss = AsyncStream<WebSocketConnection.Inbound>.makeStream()
    private var context: ChannelHandlerContext?
    private var fragments: (opcode: WebSocketOpcode, count: Int, data: ByteBuffer)?
    private var allowance: Double
    private var refilled = NIODeadline.now()
    private var allowanceTimer: Scheduled<Void>?
    private var backlog: InboundBacklog?
    private var readHeld = false
    private var isWriting = false
    private var closeSent = false
    /// What `inbound` ended with.
    private var closeCode: UInt16?
    /// When the last frame came, of any kind.
    private var lastHeard = NIODeadline.now()
    /// The first ping that nothing was heard since.
    private var unanswered: NIODeadline?
    private var pingTimer: Scheduled<Void>?
    /// Told whether the peer is gone as soon as that is known.
    private var probes: [EventLoopPromise<Bool>] = []
    private var probeTimer: Scheduled<Void>?
    private var deadline: Scheduled<Void>?

    package init(limits: WebSocketLimits, role: Role, remoteAddress: String) {
        self.limits = limits
        self.role = role
        self.remoteAddress = remoteAddress
        allowance = Double(limits.messageBurst)
        (stream, yield) = AsyncStream.makeStream()
    }

    /// The application's side. The handler must be in a pipeline.
    package func makeConnection(on channel: any Channel) -> WebSocketConnection {
        let handler = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let backlog = InboundBacklog(limit: limits.inboundQueue) {
            channel.eventLoop.execute { handler.value.releaseIfAllowed() }
        }
        self.backlog = backlog
        return WebSocketConnection(
            channel: channel, handler: self, inbound: InboundMessages(stream: stream, backlog: backlog),
            losses: loss.stream, outboundQueue: limits.outboundQueue, remoteAddress: remoteAddress)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        schedulePing()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        finish(code: 1006, reason: "")
        pingTimer?.cancel()
        allowanceTimer?.cancel()
        deadline?.cancel()
        // It keeps us.
        backlog = nil
        self.context = nil
    }

    package func channelInactive(context: ChannelHandlerContext) {
        finish(code: 1006, reason: "")
        context.fireChannelInactive()
    }

    /// The first one counts; a finished stream takes no more.
    private func finish(code: UInt16, reason: String) {
        if closeCode == nil {
            closeCode = code
            if ![1000, 1005].contains(code) { loss.continuation.yield(.closed(code: code, reason: reason)) }
            loss.continuation.finish()
        }
        yield.yield(.closed(code: code, reason: reason))
        yield.finish()
        endProbes(isLost: closeCode == 1006)
    }

    /// There is nothing more to come. With TLS closing takes a while, for the peer's last words, which nobody waits for.
    private func lost(_ context: ChannelHandlerContext) {
        finish(code: 1006, reason: "")
        context.close(promise: nil)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { return lost(context) }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? NIOWebSocketError else {
            // After a violation the decoder reports each further read; those are drained until the peer closes.
            if !closeSent { lost(context) }
            return
        }
        switch error {
        case .invalidFrameLength: violation(1009, "message over \(limits.messageSize) bytes")
        case .fragmentedControlFrame, .multiByteControlFrameLength: violation(1002, "bad control frame")
        }
    }
}

/// What comes in.
extension WebSocketHandler {
    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        lastHeard = .now()
        endProbes(isLost: false)
        if closeSent {
            // Data that crossed our close frame has no reader any more.
            if frame.opcode == .connectionClose { context.close(promise: nil) }
            return
        }
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return violation(1002, "reserved bit set") }
        guard (frame.maskKey != nil) == (role == .server) else { return violation(1002, "wrong masking") }
        switch frame.opcode {
        case .text, .binary:
            guard takeAllowance() else { return }
            guard fragments == nil else { return violation(1002, "new message inside a fragmented one") }
            join(frame, opcode: frame.opcode, count: 1, data: ByteBuffer())
        case .continuation:
            guard let (opcode, count, data) = fragments else { return violation(1002, "nothing to continue") }
            if role == .client { guard takeAllowance() else { return } }
            fragments = nil
            join(frame, opcode: opcode, count: count + 1, data: data)
        case .ping:
            guard takeAllowance() else { return }
            send(.pong, frame.unmaskedData)
        case .pong: _ = takeAllowance()
        case .connectionClose: peerClosed(frame.unmaskedData)
        default: violation(1002, "reserved opcode")
        }
    }

    private func join(_ frame: WebSocketFrame, opcode: WebSocketOpcode, count: Int, data: ByteBuffer) {
        var data = data
        guard data.readableBytes + frame.length <= limits.messageSize else {
            return violation(1009, "message over \(limits.messageSize) bytes")
        }
        guard count <= limits.messageFragments else {
            return violation(1008, "message of over \(limits.messageFragments) fragments")
        }
        data.writeImmutableBuffer(frame.unmaskedData)
        guard frame.fin else {
            fragments = (opcode, count, data)
            return
        }
        backlog?.add(data.readableBytes)
        if opcode == .binary {
            yield.yield(.binary(Array(data.readableBytesView)))
        } else if let text = String(validating: data.readableBytesView, as: UTF8.self) {
            yield.yield(.text(text))
        } else {
            violation(1007, "text is not UTF-8")
        }
    }

    /// A token bucket over messages and control frames. A client may not empty it; a server is not read again until it
    /// has paid what it owes.
    private func takeAllowance() -> Bool {
        refill()
        allowance -= 1
        guard allowance < 0 else { return true }
        if role == .server {
            violation(1008, "over \(limits.messageRate) messages a second")
            return false
        }
        awaitAllowance()
        return true
    }

    private func refill() {
        let now = NIODeadline.now()
        let elapsed = Double((now - refilled).nanoseconds) / 1e9
        refilled = now
        allowance = min(Double(limits.messageBurst), allowance + elapsed * Double(limits.messageRate))
    }

    private func awaitAllowance() {
        guard allowanceTimer == nil else { return }
        let debt = Duration.seconds(-allowance / Double(limits.messageRate)) + .milliseconds(1)
        allowanceTimer = after(debt) { handler in
            handler.allowanceTimer = nil
            handler.refill()
            if handler.allowance < 0 { handler.awaitAllowance() } else { handler.releaseIfAllowed() }
        }
    }

    private var mayRead: Bool { closeSent || (allowance >= 0 && backlog?.holds() != true) }

    package func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { readHeld = true }
    }

    fileprivate func releaseIfAllowed() {
        if readHeld, mayRead { releaseRead() }
    }

    private func releaseRead() {
        guard readHeld else { return }
        readHeld = false
        context?.read()
    }

    /// RFC 6455 §5.5.1 and §7.4.
    private func peerClosed(_ payload: ByteBuffer) {
        var payload = payload
        guard payload.readableBytes > 0 else { return answerClose(code: nil, reason: "") }
        guard let code = payload.readInteger(as: UInt16.self) else { return violation(1002, "bad close frame") }
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: return violation(1002, "bad close code")
        }
        guard let reason = String(validating: payload.readableBytesView, as: UTF8.self) else {
            return violation(1007, "close reason is not UTF-8")
        }
        answerClose(code: code, reason: reason)
    }

    private func answerClose(code: UInt16?, reason: String) {
        guard let context else { return }
        finish(code: code ?? 1005, reason: reason)
        sendClose(code: code, reason: "") { context.close(promise: nil) }
    }
}

/// What goes out.
extension WebSocketHandler {
    /// One message; fails after a close frame.
    func write(_ message: WebSocketConnection.Message, promise: EventLoopPromise<Void>) {
        guard let context, !closeSent else { return promise.fail(ChannelError.ioOnClosedChannel) }
        let frame =
            switch message {
            case .text(let text): frame(.text, ByteBuffer(string: text))
            case .binary(let bytes): frame(.binary, ByteBuffer(bytes: bytes))
            }
        isWriting = true
        context.writeAndFlush(wrapOutboundOut(frame), promise: promise)
        isWriting = false
    }

    /// A message is on its way. One that had to wait for that shows that the peer is there: it has made room.
    func didWrite() {
        if !isWriting { lastHeard = .now() }
    }

    /// The application's close, and the server's at its end.
    func startClose(code: UInt16, reason: String) {
        guard !closeSent else { return }
        finish(code: code, reason: reason)
        sendClose(code: code, reason: reason) {}
    }

    /// After a broken rule the peer's frames are not understood any more: our side of the connection ends with the
    /// close frame, and what the peer still sends is drained until it closes too (RFC 6455 §7.1.7).
    private func violation(_ code: UInt16, _ reason: String) {
        guard !closeSent, let context else { return }
        finish(code: code, reason: reason)
        sendClose(code: code, reason: reason) { context.close(mode: .output, promise: nil) }
    }

    /// The last frame of ours. Whatever the peer does, the connection is gone after the time allowed for closing.
    private func sendClose(code: UInt16?, reason: String, then: @escaping () -> Void) {
        guard let context else { return }
        closeSent = true
        fragments = nil
        var payload = ByteBuffer()
        if let code {
            payload.writeInteger(code)
            // A control frame carries 125 bytes (RFC 6455 §5.5).
            var text = reason
            while text.utf8.count > 123 { text.removeLast() }
            payload.writeString(text)
        }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess(then)
        context.writeAndFlush(wrapOutboundOut(frame(.connectionClose, payload)), promise: sent)
        let channel = context.channel
        deadline?.cancel()
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(limits.closeTimeout)) { channel.close(promise: nil) }
        releaseRead()
    }

    private func schedulePing() {
        pingTimer = after(limits.pingInterval) { handler in
            handler.schedulePing()
            handler.ping()
        }
    }

    /// One timer does both, so that no deadline can come in the same tick as the ping that was to move it.
    private func ping() {
        guard !closeSent else { return }
        let now = NIODeadline.now()
        // While reading is held back, what the peer says waits in the kernel.
        if readHeld { lastHeard = now }
        if let unanswered, lastHeard < unanswered {
            // The timer may come a moment before the ping is as old as it says.
            if now + .milliseconds(10) >= unanswered + TimeAmount(limits.pongTimeout) {
                return lose()
            }
        } else {
            // A peer that does not even take what waits for it need not be sent the ping to be asked.
            unanswered = now
        }
        send(.ping, ByteBuffer())
    }

    /// Whether a close frame has come or gone, or the connection is.
    var isClosed: Bool { closeCode != nil }

    /// Asks whether the peer is there.
    func probe(_ patience: Duration, _ isLost: EventLoopPromise<Bool>) {
        if let closeCode { return isLost.succeed(closeCode == 1006) }
        // While reading is held back, what the peer says waits in the kernel.
        if readHeld { return isLost.succeed(false) }
        probes.append(isLost)
        guard probes.count == 1 else { return }
        // The pong is not the peer's idea.
        allowance += 1
        send(.ping, ByteBuffer())
        probeTimer = after(patience) { $0.lose() }
    }

    private func endProbes(isLost: Bool) {
        if probes.isEmpty { return }
        probeTimer?.cancel()
        for probe in probes { probe.succeed(isLost) }
        probes = []
    }

    /// The peer is silent. What it is told, should it still hear, is not how it went.
    private func lose() {
        guard !closeSent else { return }
        let reason = "keepalive ping timeout"
        finish(code: 1006, reason: reason)
        sendClose(code: 1011, reason: reason) {}
    }

    private func after(_ delay: Duration, _ body: @escaping (WebSocketHandler) -> Void) -> Scheduled<Void>? {
        context?.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            if let self { body(self) }
        }
    }

    /// A control frame; left out while the peer does not take what it was sent.
    private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
        guard let context, context.channel.isWritable else { return }
        context.writeAndFlush(wrapOutboundOut(frame(opcode, data)), promise: nil)
    }

    private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: role == .client ? .random() : nil, data: data)
    }
}
