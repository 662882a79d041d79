internal import CSocket
import Glibc
import ICE
import STUN
import Wire

/// A TCP port that callers connect to whose UDP is blocked (RFC 6544, passive). One port serves all loops.
final class TCPListener: Sendable {
    let descriptor: Int32
    let address: SocketAddress

    /// - Parameter address: port 0 takes any free one.
    init(bindingTo address: SocketAddress) throws(MediaError) {
        var native = csocket_address(address)
        descriptor = unsafe csocket_listen(&native)
        guard descriptor >= 0 else { throw .listen(address, errno: -descriptor) }
        var bound = address
        bound.port = csocket_port(descriptor)
        self.address = bound
    }

    deinit {
        close(descriptor)
    }
}

/// A connection that has said whose call it is for, on its way to the loop of that call. Whoever does not hand it on closes
/// the descriptor.
struct StrayConnection: Sendable {
    var descriptor: Int32
    var tuple: Tuple
    var ufrag: UfragKey
    /// What came so far.
    var bytes: [UInt8]

    func close() {
        Glibc.close(descriptor)
    }
}

/// The TCP connections of one loop, each of which carries the datagrams of one call behind their lengths (RFC 4571 §2).
///
/// Who connects has ten seconds to prove that it belongs to a call. Before its first message has named one it is nobody's: the
/// loop that listens waits for that message, and hands the connection on.
@safe final class PassiveTCP {
    /// Connections that have not proven anything, in all and from one network.
    private static let unproven = (total: 256, perNetwork: 32)
    /// Connections to one call: a browser has one from each of its addresses to each of ours.
    private static let perCall = 16
    private static let patience: Duration = .seconds(10)
    /// Before a listener is looked at again when the process has no descriptor left.
    private static let pause: Duration = .seconds(1)
    /// Bytes that wait for a slow network: half a second of sound.
    private static let waiting = 1 << 13
    private static let capacity = 1 << 12
    /// Of a datagram.
    private static let longest = 2048

    final class Connection {
        let socket: StreamSocket
        let tuple: Tuple
        fileprivate var buffer: [UInt8]
        fileprivate var filled = 0
        fileprivate let deadline: MonotonicTime
        /// Which call of this loop is named.
        fileprivate var ufrag: UfragKey?
        fileprivate var isWatchedForWriting = false

        fileprivate init(_ descriptor: Int32, _ tuple: Tuple, deadline: MonotonicTime) {
            socket = StreamSocket(descriptor: descriptor)
            self.tuple = tuple
            self.deadline = deadline
            buffer = [UInt8](repeating: 0, count: PassiveTCP.capacity)
        }
    }

    private let poller: Poller
    private let listeners: [Int32: (listener: TCPListener, path: Int)]
    private var byDescriptor: [Int32: Connection] = [:]
    private var byTuple: [Tuple: Connection] = [:]
    private var nextSweep: MonotonicTime?
    private var isPaused = false

    /// - Parameter listeners: of this loop; at most one loop has any.
    init(_ listeners: [TCPListener], poller: Poller) {
        self.poller = poller
        self.listeners = Dictionary(
            uniqueKeysWithValues: listeners.enumerated().map { index, listener in
                (listener.descriptor, (listener, LoopPath.tcp + index))
            })
        for listener in listeners { poller.watch(listener.descriptor) }
    }

    var isInUse: Bool { !listeners.isEmpty || !byDescriptor.isEmpty }

    /// When to call `sweep`.
    var deadline: MonotonicTime? { nextSweep }

    // MARK: - Connections come and go

    /// Takes what waits at a listener; false when the descriptor is a connection's.
    ///
    /// - Parameter isOwned: whether a connection has proven that it is a call's.
    func accept(_ descriptor: Int32, now: MonotonicTime, isOwned: (Tuple) -> Bool) -> Bool {
        guard let (listener, path) = listeners[descriptor] else { return false }
        var remote = csocket_address()
        while true {
            let accepted = unsafe csocket_accept(listener.descriptor, &remote)
            guard accepted > 0 else {
                if accepted == -EMFILE || accepted == -ENFILE { pause(now) }
                return true
            }
            let tuple = Tuple(path: path, remote: remote.socketAddress)
            let unproven = byDescriptor.values.filter { !isOwned($0.tuple) }
            guard unproven.count < Self.unproven.total,
                unproven.count(where: { $0.tuple.remote.hasNetwork(of: tuple.remote) }) < Self.unproven.perNetwork
            else {
                close(accepted)
                continue
            }
            keep(Connection(accepted, tuple, deadline: now + Self.patience), now: now)
        }
    }

    /// What waits would wake the loop again at once.
    private func pause(_ now: MonotonicTime) {
        isPaused = true
        for descriptor in listeners.keys { poller.unwatch(descriptor) }
        nextSweep = nextSweep ?? now + Self.pause
    }

    /// Takes over a connection whose call is one of this loop; nil where that has enough of them.
    func adopt(_ stray: StrayConnection, now: MonotonicTime) -> Connection? {
        guard hasRoom(stray.ufrag) else {
            stray.close()
            return nil
        }
        let connection = Connection(stray.descriptor, stray.tuple, deadline: now + Self.patience)
        connection.ufrag = stray.ufrag
        for (index, byte) in stray.bytes.prefix(Self.capacity).enumerated() { connection.buffer[index] = byte }
        connection.filled = min(stray.bytes.count, Self.capacity)
        keep(connection, now: now)
        return connection
    }

    private func keep(_ connection: Connection, now: MonotonicTime) {
        byDescriptor[connection.socket.descriptor] = connection
        byTuple[connection.tuple] = connection
        poller.watch(connection.socket.descriptor)
        nextSweep = nextSweep ?? now + Self.pause
    }

    private func hasRoom(_ ufrag: UfragKey) -> Bool {
        byDescriptor.values.count { $0.ufrag == ufrag } < Self.perCall
    }

    private func drop(_ connection: Connection) {
        byDescriptor[connection.socket.descriptor] = nil
        if byTuple[connection.tuple] === connection { byTuple[connection.tuple] = nil }
    }

    /// Closes the connections that belong to no call, once their time is up.
    func sweep(now: MonotonicTime, isOwned: (Tuple) -> Bool) {
        guard let due = nextSweep, due <= now else { return }
        for connection in byDescriptor.values where connection.deadline <= now && !isOwned(connection.tuple) {
            drop(connection)
        }
        if isPaused {
            isPaused = false
            for descriptor in listeners.keys { poller.watch(descriptor) }
        }
        nextSweep = byDescriptor.isEmpty ? nil : now + Self.pause
    }

    // MARK: - Data

    /// Reads what there is. `body` takes each datagram in place; `claim` is asked before the first whether the call that it
    /// names is one of this loop.
    func receive(
        _ descriptor: Int32, claim: (UfragKey) -> Bool, handOver: (StrayConnection) -> Void,
        _ body: (inout MutableSpan<UInt8>, Tuple) -> Void
    ) {
        guard let connection = byDescriptor[descriptor] else { return }
        connection.socket.flush()
        // A few rounds, so that one connection does not keep the others waiting.
        for _ in 0..<4 {
            let count = unsafe connection.buffer.withUnsafeMutableBufferPointer {
                unsafe connection.socket.read(into: UnsafeMutableBufferPointer(rebasing: $0[connection.filled...]))
            }
            connection.filled += count
            guard count > 0, take(connection, claim: claim, handOver: handOver, body) else { break }
        }
        if connection.socket.failure != nil { drop(connection) }
        watch(connection)
    }

    /// Cuts the buffer into datagrams. False when there is no more to be read here.
    @discardableResult
    func take(
        _ connection: Connection, claim: (UfragKey) -> Bool, handOver: (StrayConnection) -> Void,
        _ body: (inout MutableSpan<UInt8>, Tuple) -> Void
    ) -> Bool {
        var start = 0
        while let length = connection.buffer.span.uint16(at: start).map(Int.init), start + 2 <= connection.filled {
            guard length <= Self.longest else {
                drop(connection)
                return false
            }
            let end = start + 2 + length
            guard end <= connection.filled else { break }
            if connection.ufrag == nil {
                guard let ufrag = ufrag(connection.buffer, start + 2..<end), hasRoom(ufrag) else {
                    drop(connection)
                    return false
                }
                guard claim(ufrag) else {
                    pass(connection, ufrag, handOver)
                    return false
                }
                connection.ufrag = ufrag
            }
            unsafe connection.buffer.withUnsafeMutableBufferPointer { buffer in
                var datagram = unsafe UnsafeMutableBufferPointer(rebasing: buffer[start + 2..<end]).mutableSpan
                body(&datagram, connection.tuple)
            }
            start = end
        }
        if start > 0 {
            for index in start..<connection.filled { connection.buffer[index - start] = connection.buffer[index] }
            connection.filled -= start
        }
        return true
    }

    /// Whose call the first message is for: it has to be a Binding request.
    private func ufrag(_ buffer: [UInt8], _ range: Range<Int>) -> UfragKey? {
        let probe = buffer.span.bytes(in: range).flatMap { STUNProbe($0.span) }
        return probe?.class == .request ? probe?.localUfrag : nil
    }

    private func pass(_ connection: Connection, _ ufrag: UfragKey, _ handOver: (StrayConnection) -> Void) {
        drop(connection)
        poller.unwatch(connection.socket.descriptor)
        handOver(
            StrayConnection(
                descriptor: connection.socket.release(), tuple: connection.tuple, ufrag: ufrag,
                bytes: Array(connection.buffer.prefix(connection.filled))))
    }

    /// Sends a datagram of the batch behind its length; false where its connection is gone.
    func send(_ entry: DatagramBatch.Entry, of batch: DatagramBatch) -> Bool {
        guard let connection = byTuple[Tuple(path: entry.path, remote: entry.destination)] else { return false }
        guard connection.socket.backlog < Self.waiting else { return true }
        batch.frame(entry) { slot in
            let start = DatagramBatch.headroom - 2
            slot[start] = UInt8(truncatingIfNeeded: entry.count >> 8)
            slot[start + 1] = UInt8(truncatingIfNeeded: entry.count)
            connection.socket.send(slot.span.extracting(start..<start + 2 + entry.count))
        }
        watch(connection)
        return true
    }

    private func watch(_ connection: Connection) {
        guard connection.socket.wantsToWrite != connection.isWatchedForWriting else { return }
        connection.isWatchedForWriting = connection.socket.wantsToWrite
        poller.watch(connection.socket.descriptor, writing: connection.isWatchedForWriting)
    }
}
