internal import NIOCore

/// A command of somebody who waits. What settles it is its promise, whoever is first: the reply, the clock, the one who
/// asked and does not want to know any more, or the end of the connection.
final class RedisWaiter {
    let command: [UInt8]
    let promise: EventLoopPromise<RESPValue>
    /// When it was sent; nil while it waits for a connection.
    fileprivate(set) var sentAt: NIODeadline?
    var timer: Scheduled<Void>?
    private(set) var isSettled = false

    /// - Parameter promise: of the loop that this runs on.
    init(_ command: [UInt8], _ promise: EventLoopPromise<RESPValue>) {
        self.command = command
        self.promise = promise
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in
            isSettled = true
            timer?.cancel()
        }
    }
}

/// One connection: commands go out as they come, and replies come in their order.
final class RedisHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: String
    private let patience: TimeAmount
    private var decoder = RESPDecoder()
    /// A settled one stays until its reply comes, or the next would get that.
    private var sent = CircularBuffer<RedisWaiter>()
    private var context: ChannelHandlerContext?
    private var end: String?
    private(set) var lastHeard = NIODeadline.now()
    /// Since when it is silent, though it was asked and the time for an answer is over; nil while it is not.
    private(set) var silentSince: NIODeadline?
    /// Whether the last answer took longer than the patience, or none has come in its time.
    private(set) var isSlow = false
    /// Whether it has refused a write because it is a replica.
    private(set) var isReadOnly = false
    /// Told once why the connection is over. Every command has failed by then.
    var onEnd: (String) -> Void = { _ in }

    /// - Parameter patience: a server that takes longer for an answer is slow.
    init(server: String, patience: TimeAmount) {
        self.server = server
        self.patience = patience
    }

    var count: Int { sent.count }

    func send(_ waiter: RedisWaiter) {
        guard let context, end == nil else {
            return waiter.promise.fail(RedisError.away(server: server, reason: end ?? "the connection is not open"))
        }
        waiter.sentAt = .now()
        sent.append(waiter)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: waiter.command)), promise: nil)
    }

    /// The time of a command is over.
    func overdue(_ waiter: RedisWaiter) {
        guard let sentAt = waiter.sentAt else { return }
        isSlow = true
        if lastHeard < sentAt { silentSince = min(silentSince ?? sentAt, sentAt) }
    }

    /// Ends the connection.
    func close(_ reason: String) {
        finish(reason)
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish("it closed the connection")
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish("it closed the connection")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(reason(error))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        (lastHeard, silentSince) = (.now(), nil)
        decoder.append(unwrapInboundIn(data).readableBytesView)
        do {
            while end == nil, let reply = try decoder.next() {
                if case .push = reply { continue }
                guard let waiter = sent.popFirst() else { return close("it answered without having been asked") }
                if let sentAt = waiter.sentAt { isSlow = lastHeard - sentAt > patience }
                if case .error(let text) = reply {
                    let refusal = shown(text)
                    // Redis 6 writes more before it where a script was refused.
                    if refusal.contains("READONLY ") { isReadOnly = true }
                    waiter.promise.fail(RedisError.refused(server: server, reply: refusal))
                } else {
                    waiter.promise.succeed(reply)
                }
            }
        } catch {
            close("\(error)")
        }
    }

    private func finish(_ reason: String) {
        guard end == nil else { return }
        end = reason
        for waiter in sent { waiter.promise.fail(RedisError.lost(server: server, reason: reason)) }
        sent.removeAll()
        onEnd(reason)
        onEnd = { _ in }
    }
}
