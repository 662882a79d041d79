import Glibc
import ICE
import STUN
import TURN
import WebRTC
import Wire

/// One allocation on a TURN server and the socket that leads to it: a path of its own for datagrams, used by all the calls of
/// a loop.
///
/// The server tells allocations apart by the 5-tuple (RFC 8656 §2), so the loop's own ports cannot serve.
@safe final class RelayPort {
    private enum Link {
        case datagrams(UDPSocket)
        case stream(StreamSocket, TLSChannel?)
    }

    /// While something is sent and nothing comes for so long, the server is asked whether it still knows the allocation.
    private static let silence: Duration = .milliseconds(2_500)
    /// Between signs of life to the server: a NAT in between forgets a socket that is silent (RFC 4787 §4.3).
    private static let keepAlive: Duration = .seconds(20)
    /// Datagrams that wait for a permission, one for each peer.
    private static let held = 64
    /// Bytes of each call that wait for a slow network: half a second of sound.
    private static let waiting = 1 << 13

    let path: Int
    let server: RelayServer
    /// What calls may tell their peers; nil before there is an allocation.
    private(set) var candidate: PeerConnection.LocalCandidate?
    /// Why there is no allocation, or no longer one.
    private(set) var end: Allocation.EndReason?
    /// The same in words.
    private(set) var failure: String?

    private var allocation: Allocation
    private let link: Link
    private var framer = StreamFramer()
    private var held: [SocketAddress: [UInt8]] = [:]
    /// Since when nothing has come although something was sent.
    private var unanswered: MonotonicTime?
    private var lastUsed: MonotonicTime
    private var nextKeepAlive: MonotonicTime
    private let poller: Poller
    private var isWatchedForWriting = false

    /// Opens a socket at `local`'s host and asks the server.
    init(
        _ server: RelayServer, family: SocketAddress.Family, from local: SocketAddress, path: Int, tag: UInt32,
        poller: Poller, now: MonotonicTime
    ) throws(MediaError) {
        self.server = server
        self.path = path
        self.poller = poller
        lastUsed = now
        nextKeepAlive = now + Self.keepAlive
        var local = local
        local.port = 0
        switch server.transport {
        case .udp: link = .datagrams(try UDPSocket(bindingTo: local))
        case .tcp, .tls:
            let socket = try StreamSocket(from: local, to: server.address)
            var channel: TLSChannel?
            if case .tls(let trust, let host) = server.transport {
                channel = TLSChannel(trust, host: host)
                // Never in the clear instead.
                if channel == nil { throw .connect(server.address, errno: EPROTO) }
            }
            link = .stream(socket, channel)
        }
        var isStream = false
        if case .stream = link { isStream = true }
        allocation = Allocation(
            .init(
                transport: isStream ? .stream : .datagrams, username: server.username, password: server.password,
                family: family, transactionTag: tag, randomness: .system))
        poller.watch(descriptor)
        if case .stream(let socket, let channel?) = link { socket.send(channel.takeOutgoing().span) }
        allocation.allocate(now: now)
        pump(now: now)
    }

    var descriptor: Int32 {
        switch link {
        case .datagrams(let socket): socket.descriptor
        case .stream(let socket, _): socket.descriptor
        }
    }

    /// Whether datagrams come one by one; else `readStream` cuts them.
    var isDatagramSocket: Bool {
        if case .datagrams = link { true } else { false }
    }

    /// When to call `handleTimeout`.
    var deadline: MonotonicTime? {
        guard end == nil, failure == nil else { return nil }
        var due = nextKeepAlive
        if let unanswered { due = min(due, unanswered + Self.silence) }
        return allocation.deadline.map { min(due, $0) } ?? due
    }

    func handleTimeout(now: MonotonicTime) {
        if let since = unanswered, since + Self.silence <= now {
            unanswered = now + Self.silence
            allocation.check(now: now)
        }
        if nextKeepAlive <= now {
            nextKeepAlive = now + Self.keepAlive
            let id = TransactionID(tag: 0, rest: UInt64(path))
            if isDatagramSocket { transmit(STUNBuilder(.indication, id: id).finish(key: nil).span) }
        }
        allocation.handleTimeout(now: now)
        pump(now: now)
    }

    /// Whether nothing has gone through it for a while.
    func isIdle(_ now: MonotonicTime) -> Bool {
        now >= lastUsed + .seconds(120)
    }

    /// Gives the allocation back.
    func close() {
        allocation.close()
        pump(now: lastUsed)
    }

    // MARK: - Out

    /// Lets a host in that may have something to say before it is sent anything.
    func expect(_ host: SocketAddress, now: MonotonicTime) {
        // The server minds the host only (RFC 8656 §9).
        guard host.family == candidate?.address.family else { return }
        allocation.permit(host.with(port: 9), now: now)
        pump(now: now)
    }

    /// Sends a datagram of the batch to its peer.
    func send(_ entry: DatagramBatch.Entry, of batch: DatagramBatch, now: MonotonicTime) {
        lastUsed = now
        unanswered = unanswered ?? now
        let isFramed = batch.frame(entry) { slot in
            guard let length = allocation.frame(&slot, count: entry.count, to: entry.destination, now: now) else {
                return false
            }
            relay(slot.span.extracting(0..<length))
            return true
        }
        if !isFramed { sendWithoutChannel(batch.bytes(of: entry), to: entry.destination, now: now) }
        watch()
    }

    /// Checks need a permission, and only what follows them a channel: most candidates get no further than that.
    private func sendWithoutChannel(_ bytes: [UInt8], to peer: SocketAddress, now: MonotonicTime) {
        let isAsked = allocation.permit(peer, now: now)
        if STUNProbe(bytes.span) == nil { allocation.bind(peer, now: now) }
        if let indication = allocation.indication(bytes, to: peer, now: now) {
            relay(indication.span)
        } else if isAsked, held.count < Self.held {
            held[peer] = bytes
        }
        pump(now: now)
    }

    /// Sends what is a peer's, unless too much waits already. What TLS has sealed can no longer be left out.
    private func relay(_ message: Span<UInt8>) {
        if case .stream(let socket, _) = link, socket.backlog > Self.waiting * max(1, allocation.channelCount) {
            return
        }
        transmit(message)
    }

    private func transmit(_ message: Span<UInt8>) {
        switch link {
        case .datagrams(let socket): socket.send(message, to: server.address)
        case .stream(let socket, nil): socket.send(message)
        case .stream(let socket, let channel?):
            channel.send(message.bytes(in: 0..<message.count) ?? [])
            socket.send(channel.takeOutgoing().span)
        }
    }

    // MARK: - In

    /// Takes one datagram of the server's. Where it is a peer's, says whose, and where in it the peer's lies.
    func receive(
        _ datagram: Span<UInt8>, from source: SocketAddress, now: MonotonicTime
    ) -> (data: Range<Int>, peer: SocketAddress)? {
        guard source == server.address else { return nil }
        let reception = allocation.receive(datagram, now: now)
        if case .data(let range, let peer) = reception {
            unanswered = nil
            lastUsed = now
            return (range, peer)
        }
        if case .handled = reception { unanswered = nil }
        pump(now: now)
        return nil
    }

    /// Reads from the stream what there is, and has `body` take the messages in it.
    func readStream(into buffer: UnsafeMutableBufferPointer<UInt8>, _ body: ([UInt8]) -> Void) {
        guard case .stream(let socket, let channel) = link else { return }
        socket.flush()
        while true {
            let count = unsafe socket.read(into: buffer)
            guard count > 0 else { break }
            let bytes = unsafe Array(buffer.prefix(count))
            framer.append(channel.map { $0.receive(bytes) } ?? bytes)
            if let channel { socket.send(channel.takeOutgoing().span) }
            while let message = framer.next() { body(message) }
        }
        if failure == nil, end == nil {
            failure = channel?.failure ?? socket.failure ?? (framer.isBroken ? "what it sends is not TURN" : nil)
        }
        watch()
    }

    // MARK: - Inside

    private func pump(now: MonotonicTime) {
        while let output = allocation.poll() {
            switch output {
            case .transmit(let bytes):
                transmit(bytes.span)
                unanswered = unanswered ?? now
            case .allocated(let relayed, let mapped):
                candidate = .init(relayed, path: path, kind: .relay, relatedAddress: mapped)
            case .permitted(let peer):
                for (address, bytes) in held where address.hasHost(of: peer) {
                    held[address] = nil
                    if let indication = allocation.indication(bytes, to: address, now: now) {
                        relay(indication.span)
                    }
                }
            case .refused(let peer, _):
                for address in Array(held.keys) where address.hasHost(of: peer) { held[address] = nil }
            case .ended(let reason):
                end = reason
                failure = failure ?? "\(reason)"
            }
        }
        watch()
    }

    private func watch() {
        guard case .stream(let socket, _) = link, socket.wantsToWrite != isWatchedForWriting else { return }
        isWatchedForWriting = socket.wantsToWrite
        poller.watch(descriptor, writing: isWatchedForWriting)
    }
}
