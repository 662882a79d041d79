internal import STUN
package import Wire

/// A client's allocation on a TURN server (RFC 8656), as a value: what the server sends and time go in, `poll()` hands out
/// effects.
///
/// It knows nothing of sockets. Over UDP each allocation needs a local port of its own, since the server tells allocations
/// apart by the 5-tuple; over TCP and TLS a `StreamFramer` cuts what comes.
package struct Allocation: Sendable {
    package internal(set) var state = State.idle
    /// When to call `handleTimeout`; nil when there is nothing to wait for.
    package var deadline: MonotonicTime? {
        guard state == .allocating || state == .allocated else { return nil }
        var earliest = Self.earlier(expiresAt, refreshAt)
        for peer in peers {
            earliest = Self.earlier(Self.earlier(earliest, peer.renewPermissionAt), peer.renewChannelAt)
        }
        for transaction in transactions.values { earliest = Self.earlier(earliest, transaction.due) }
        return earliest
    }

    let configuration: Configuration
    let randomness: RandomSource
    var realm: String?
    var nonce: [UInt8]?
    var key: [UInt8]?
    var transactions: [TransactionID: Transaction] = [:]
    var peers: [Peer] = []
    var nextChannel = ChannelData.numbers.lowerBound
    var refreshAt: MonotonicTime?
    var expiresAt: MonotonicTime?
    var outputs: [Output] = []

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        randomness = configuration.randomness
    }

    /// The next effect, until nil. To be emptied after every call that takes a time.
    package mutating func poll() -> Output? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    // MARK: - Life

    /// Asks the server for an allocation, first without credentials (RFC 8656 §7.1).
    package mutating func allocate(now: MonotonicTime) {
        guard state == .idle else { return }
        state = .allocating
        request(.allocate, now: now)
    }

    /// Asks the server now whether the allocation still lives, rather than when it is to be refreshed: `.ended` follows if
    /// not, within 8 s.
    package mutating func check(now: MonotonicTime) {
        guard state == .allocated, !transactions.values.contains(where: { $0.purpose.isRefresh }) else { return }
        request(.refresh(lifetime: configuration.lifetime), now: now)
    }

    /// Gives the allocation back. The answer is not waited for.
    package mutating func close() {
        if state == .allocated { outputs.append(.transmit(message(.refresh(lifetime: 0), id: newID()))) }
        stop()
        state = .ended
    }

    /// Lets this address send to us through the relay (RFC 8656 §9); `.permitted` or `.refused` follows.
    package mutating func permit(_ peer: SocketAddress, now: MonotonicTime) {
        guard state == .allocated, addPeer(peer), !isPermitted(peer), !isAsking(for: peer) else { return }
        request(.permit(peer), now: now)
    }

    /// Binds a channel to this address, so that its datagrams have 4 bytes of header instead of 36 (RFC 8656 §12).
    package mutating func bind(_ peer: SocketAddress, now: MonotonicTime) {
        guard state == .allocated, addPeer(peer), let index = peers.firstIndex(where: { $0.address == peer }),
            peers[index].channel == nil, ChannelData.numbers.contains(nextChannel)
        else { return }
        peers[index].channel = nextChannel
        nextChannel += 1
        request(.bind(peer), now: now)
    }

    /// To be called at `deadline`; harmless at any other time.
    package mutating func handleTimeout(now: MonotonicTime) {
        guard state == .allocating || state == .allocated else { return }
        repeatRequests(now)
        guard state == .allocated else { return }
        if let expiresAt, expiresAt <= now { return end(.expired) }
        if let refreshAt, refreshAt <= now {
            self.refreshAt = nil
            request(.refresh(lifetime: configuration.lifetime), now: now)
        }
        for index in peers.indices {
            if let at = peers[index].renewPermissionAt, at <= now {
                peers[index].renewPermissionAt = nil
                request(.permit(peers[index].address), now: now)
            }
            if let at = peers[index].renewChannelAt, at <= now {
                peers[index].renewChannelAt = nil
                request(.bind(peers[index].address), now: now)
            }
        }
    }

    // MARK: - Datagrams through the relay

    /// Frames what is at the front of `buffer` from `ChannelData.headerLength` on for `peer`, without a copy or an allocation
    /// where a channel is bound.
    ///
    /// - Parameter count: bytes of data.
    /// - Returns: how long the framed datagram is; nil where no channel is bound, and `indication` is to be sent.
    package func frame(
        _ buffer: inout MutableSpan<UInt8>, count: Int, to peer: SocketAddress
    ) -> Int? {
        guard state == .allocated, ChannelData.headerLength + count <= buffer.count else { return nil }
        for entry in peers where entry.address == peer && entry.isBound {
            guard let channel = entry.channel,
                ChannelData.writeHeader(channel: channel, length: count, into: &buffer)
            else { return nil }
            // Over a stream the next frame begins at a multiple of four.
            let length = ChannelData.headerLength + count
            let padded = configuration.transport == .stream ? (length + 3) & ~3 : length
            guard padded <= buffer.count else { return nil }
            for index in length..<padded { buffer[index] = 0 }
            return padded
        }
        return nil
    }

    /// A Send indication with `data` for `peer` (RFC 8656 §11.1); nil where the server would drop it.
    package func indication(_ data: [UInt8], to peer: SocketAddress) -> [UInt8]? {
        guard state == .allocated, isPermitted(peer) else { return nil }
        var builder = STUNBuilder(.indication, method: Method.send, id: newID())
        builder.add(xorPeerAddress: peer)
        builder.add(data: data)
        return builder.finish(key: nil)
    }

    // MARK: - Inside

    func isPermitted(_ peer: SocketAddress) -> Bool {
        for entry in peers where entry.isPermitted && entry.address.hasHost(of: peer) { return true }
        return false
    }

    private func isAsking(for peer: SocketAddress) -> Bool {
        transactions.values.contains { $0.purpose.permits(peer) }
    }

    private mutating func addPeer(_ peer: SocketAddress) -> Bool {
        if peers.contains(where: { $0.address == peer }) { return true }
        guard peers.count < configuration.maximumPeers else { return false }
        peers.append(Peer(address: peer, isPermitted: isPermitted(peer)))
        return true
    }

    func newID() -> TransactionID {
        TransactionID(tag: configuration.transactionTag, rest: randomness.next())
    }

    private static func earlier(_ left: MonotonicTime?, _ right: MonotonicTime?) -> MonotonicTime? {
        guard let left, let right else { return left ?? right }
        return min(left, right)
    }

    mutating func end(_ reason: EndReason) {
        stop()
        state = .ended
        outputs.append(.ended(reason))
    }

    private mutating func stop() {
        (transactions, peers) = ([:], [])
        (refreshAt, expiresAt) = (nil, nil)
    }
}
