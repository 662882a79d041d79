internal import NIOCore
internal import NIOWebSocket
internal import Synchronization

/// One open WebSocket. Violations of the protocol and of the limits close it from within; all that is left to see then
/// is the last element of `inbound`.
package final class WebSocketConnection: Sendable {
    /// What a waiting message costs beside its bytes, so that empty ones are counted too.
    static let overhead = 64

    /// What goes to the peer.
    package enum Message: Sendable, Hashable {
        case text(String)
        case binary([UInt8])

        var size: Int {
            switch self {
            case .text(let text): text.utf8.count
            case .binary(let bytes): bytes.count
            }
        }
    }

    /// What came from the peer.
    package enum Inbound: Sendable, Hashable {
        case text(String)
        case binary([UInt8])
        /// Always the last element: the code and reason of the close frame that came first, the peer's or ours.
        /// 1006 when the connection was lost without one or the peer has fallen silent, 1005 when the peer's frame had
        /// no code (RFC 6455 §7.1.5).
        case closed(code: UInt16, reason: String)
    }

    /// The peer's IP address.
    package let remoteAddress: String
    /// For one reader. Reading slowly makes the peer wait.
    package let inbound: InboundMessages

    private let losses: AsyncStream<Inbound>
    private let channel: any Channel
    private let handler: NIOLoopBound<WebSocketHandler>
    private let limit: Int
    private let queued = Atomic(0)

    init(
        channel: any Channel, handler: WebSocketHandler, inbound: InboundMessages, losses: AsyncStream<Inbound>,
        outboundQueue: Int, remoteAddress: String
    ) {
        self.channel = channel
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        self.inbound = inbound
        self.losses = losses
        self.limit = outboundQueue
        self.remoteAddress = remoteAddress
    }

    /// Queues a text message, as `send(_:droppable:)` does.
    package func send(_ text: String, droppable: Bool = false) {
        send(.text(text), droppable: droppable)
    }

    /// Queues a message and returns at once. A droppable message is dropped when the queue is half full, and any other
    /// closes the socket with 1008 when it is full.
    ///
    /// - Returns: whether it was queued.
    @discardableResult
    package func send(_ message: Message, droppable: Bool = false) -> Bool {
        let size = message.size + Self.overhead
        // What may be dropped leaves room for what must not be.
        guard queued.add(size, ordering: .relaxed).newValue <= (droppable ? limit / 2 : limit) else {
            queued.subtract(size, ordering: .relaxed)
            if !droppable { startClose(code: 1008, reason: "peer reads too slowly") }
            return false
        }
        channel.eventLoop.execute { [self] in
            let sent = channel.eventLoop.makePromise(of: Void.self)
            sent.futureResult.whenComplete { _ in
                self.queued.subtract(size, ordering: .relaxed)
                self.handler.value.didWrite()
            }
            handler.value.write(message, promise: sent)
        }
        return true
    }

    /// Runs `body` again and again until the socket is gone.
    package func every(_ interval: Duration, _ body: @escaping @Sendable () -> Void) {
        let interval = TimeAmount(interval)
        let task = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in body() }
        channel.closeFuture.whenComplete { _ in task.cancel() }
    }

    /// Whether the peer is gone without a word. It is asked with a ping and has `patience` to say anything; the socket
    /// of one that does not closes as after a keep-alive that was missed.
    package func isLost(after patience: Duration) async -> Bool {
        let isLost = channel.eventLoop.makePromise(of: Bool.self)
        channel.eventLoop.execute { [handler] in handler.value.probe(patience, isLost) }
        return (try? await isLost.futureResult.get()) ?? true
    }

    /// Returns when the connection has ended otherwise than by a close with 1000 or without a code, which may be long
    /// before `inbound` has been read: its last element. For one caller.
    ///
    /// - Returns: nil when it ended well, or the task was cancelled.
    package func loss() async -> Inbound? {
        for await loss in losses { return loss }
        return nil
    }

    /// Whether either side has closed the socket, or the peer is known to be gone.
    package func isClosed() async -> Bool {
        (try? await channel.eventLoop.submit { [handler] in handler.value.isClosed }.get()) ?? true
    }

    /// Sends a close frame, waits for the peer's or 5 s, and returns when the connection is gone.
    package func close(code: UInt16, reason: String) async {
        startClose(code: code, reason: reason)
        try? await channel.closeFuture.get()
    }

    /// The same, without waiting.
    package func startClose(code: UInt16, reason: String) {
        channel.eventLoop.execute { [handler] in handler.value.startClose(code: code, reason: reason) }
    }
}

/// The messages of a socket, in order.
package struct InboundMessages: AsyncSequence, Sendable {
    package typealias Element = WebSocketConnection.Inbound

    let stream: AsyncStream<Element>
    let backlog: InboundBacklog

    /// Whether there are messages that have not been read.
    package var areWaiting: Bool { backlog.isWaiting }

    package struct AsyncIterator: AsyncIteratorProtocol {
        var stream: AsyncStream<Element>.AsyncIterator
        let backlog: InboundBacklog

        package mutating func next() async -> Element? {
            let element = await stream.next()
            switch element {
            case .text(let text): backlog.remove(text.utf8.count)
            case .binary(let bytes): backlog.remove(bytes.count)
            case .closed, nil: break
            }
            return element
        }
    }

    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(stream: stream.makeAsyncIterator(), backlog: backlog)
    }
}

/// What has come in and was not read yet. The socket's thread adds, and holds reading back when it is too much; the
/// reader, on whichever thread, tells it to go on then, and only then.
final class InboundBacklog: Sendable {
    /// Bytes, with what each message costs beside them.
    private let unread = Atomic(0)
    private let isHeld = Atomic(false)
    private let limit: Int
    private let release: @Sendable () -> Void

    /// - Parameter release: called when reading was held back and need not be any more; maybe more often.
    init(limit: Int, release: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.release = release
    }

    var isWaiting: Bool { unread.load(ordering: .relaxed) > 0 }

    func add(_ count: Int) {
        unread.add(count + WebSocketConnection.overhead, ordering: .relaxed)
    }

    func remove(_ count: Int) {
        let size = count + WebSocketConnection.overhead
        // Either this sees that reading is held, or `holds` sees that it need not be.
        let left = unread.subtract(size, ordering: .sequentiallyConsistent).newValue
        if left <= limit, isHeld.exchange(false, ordering: .sequentiallyConsistent) { release() }
    }

    /// Whether there is too much; then `release` follows.
    func holds() -> Bool {
        guard unread.load(ordering: .relaxed) > limit else { return false }
        isHeld.store(true, ordering: .sequentiallyConsistent)
        return unread.load(ordering: .sequentiallyConsistent) > limit
    }
}
