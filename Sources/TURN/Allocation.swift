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
    package private(set) var deadline: MonotonicTime?

    let configuration: Configuration
    let randomness: RandomSource
    var realm: String?
    var nonce: [UInt8]?
    var key: [UInt8]?
    var transactions: [TransactionID: Transaction] = [:]
    var peers: [SocketAddress: Peer] = [:]
    var channels: [UInt16: SocketAddress] = [:]
    var nextPeer = 0
    var nextChannel = ChannelData.numbers.lowerBound
    /// Channels that are given up, in the order in which the server forgets them.
    var resting: [(channel: UInt16, until: MonotonicTime)] = []
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
        updateDeadline()
    }

    /// Asks the server now whether the allocation still lives, rather than when it is to be refreshed: `.ended` follows if
    /// not, within 4 s.
    package mutating func check(now: MonotonicTime) {
        guard state == .allocated, !transactions.values.contains(where: { $0.purpose.isRefresh }) else { return }
        request(.refresh(lifetime: configuration.lifetime), attempts: Timing.attemptsOfCheck, now: now)
        updateDeadline()
    }

    /// Gives the allocation back. The answer is not waited for.
    package mutating func close() {
        if state == .allocated { outputs.append(.transmit(message(.refresh(lifetime: 0), id: newID()))) }
        stop()
        state = .ended
        deadline = nil
    }

    /// Lets this address send to us through the relay (RFC 8656 §9), for as long as it is made use of.
    ///
    /// - Returns: whether the server is being asked, and `.permitted` or `.refused` follows.
    @discardableResult
    package mutating func permit(_ peer: SocketAddress, now: MonotonicTime) -> Bool {
        guard state == .allocated, addPeer(peer, now: now), !isPermitted(peer) else { return false }
        if !isAsking(for: peer) {
            request(.permit(peer), now: now)
            updateDeadline()
        }
        return true
    }

    /// Binds a channel to this address, so that its datagrams have 4 bytes of header instead of 36 (RFC 8656 §12).
    package mutating func bind(_ peer: SocketAddress, now: MonotonicTime) {
        guard state == .allocated, addPeer(peer, now: now), peers[peer]?.channel == nil,
            let channel = takeChannel(now: now)
        else { return }
        peers[peer]?.channel = channel
        channels[channel] = peer
        request(.bind(peer), now: now)
        updateDeadline()
    }

    /// A new one, or when they are all used up one that the server has forgotten.
    private mutating func takeChannel(now: MonotonicTime) -> UInt16? {
        if ChannelData.numbers.contains(nextChannel) {
            defer { nextChannel += 1 }
            return nextChannel
        }
        guard let first = resting.first, first.until <= now else { return nil }
        return resting.removeFirst().channel
    }

    /// To be called at `deadline`; harmless at any other time.
    package mutating func handleTimeout(now: MonotonicTime) {
        guard state == .allocating || state == .allocated else { return }
        defer { updateDeadline() }
        repeatRequests(now)
        guard state == .allocated else { return }
        if let expiresAt, expiresAt <= now { return end(.expired) }
        if let refreshAt, refreshAt <= now {
            self.refreshAt = nil
            request(.refresh(lifetime: configuration.lifetime), now: now)
        }
        for (address, peer) in peers.sorted(by: { $0.value.number < $1.value.number }) {
            if let at = peer.renewPermissionAt, at <= now { renewPermission(of: address, now: now) }
            if let at = peer.renewChannelAt, at <= now { renewChannel(of: address, now: now) }
        }
    }

    private mutating func renewPermission(of address: SocketAddress, now: MonotonicTime) {
        peers[address]?.renewPermissionAt = nil
        let host = peers.filter { $0.key.hasHost(of: address) }
        guard host.contains(where: { !$0.value.isIdle(now) }) else {
            for peer in host.keys { peers[peer]?.isPermitted = false }
            return forgetIdle(host.keys, now: now)
        }
        request(.permit(address), now: now)
    }

    private mutating func renewChannel(of address: SocketAddress, now: MonotonicTime) {
        peers[address]?.renewChannelAt = nil
        guard let peer = peers[address], peer.isIdle(now) else { return request(.bind(address), now: now) }
        if let channel = peer.channel {
            resting.append((channel, now + Timing.channelRest))
            channels[channel] = nil
        }
        peers[address]?.channel = nil
        peers[address]?.isBound = false
        forgetIdle([address], now: now)
    }

    /// How many addresses are sent to by a channel: calls, more or less.
    package var channelCount: Int { channels.count }

    private mutating func forgetIdle(_ addresses: some Sequence<SocketAddress>, now: MonotonicTime) {
        for address in addresses {
            guard let peer = peers[address], peer.isIdle(now), !peer.isPermitted, peer.channel == nil else { continue }
            peers[address] = nil
        }
    }

    mutating func updateDeadline() {
        guard state == .allocating || state == .allocated else { return deadline = nil }
        var earliest = Self.earlier(expiresAt, refreshAt)
        for peer in peers.values {
            earliest = Self.earlier(Self.earlier(earliest, peer.renewPermissionAt), peer.renewChannelAt)
        }
        for transaction in transactions.values { earliest = Self.earlier(earliest, transaction.due) }
        deadline = earliest
    }

    // MARK: - Datagrams through the relay

    /// Frames what is at the front of `buffer` from `ChannelData.headerLength` on for `peer`, without a copy or an allocation
    /// where a channel is bound.
    ///
    /// - Parameter count: bytes of data.
    /// - Returns: how long the framed datagram is; nil where no channel is bound, and `indication` is to be sent.
    package mutating func frame(
        _ buffer: inout MutableSpan<UInt8>, count: Int, to peer: SocketAddress, now: MonotonicTime
    ) -> Int? {
        guard state == .allocated, ChannelData.headerLength + count <= buffer.count, let entry = peers[peer],
            entry.isBound, entry.isPermitted, let channel = entry.channel,
            ChannelData.writeHeader(channel: channel, length: count, into: &buffer)
        else { return nil }
        peers[peer]?.lastUsed = now
        // Over a stream the next frame begins at a multiple of four.
        let length = ChannelData.headerLength + count
        let padded = configuration.transport == .stream ? (length + 3) & ~3 : length
        guard padded <= buffer.count else { return nil }
        for index in length..<padded { buffer[index] = 0 }
        return padded
    }

    /// A Send indication with `data` for `peer` (RFC 8656 §11.1); nil where the server would drop it.
    package mutating func indication(_ data: [UInt8], to peer: SocketAddress, now: MonotonicTime) -> [UInt8]? {
        guard state == .allocated, isPermitted(peer) else { return nil }
        peers[peer]?.lastUsed = now
        var builder = STUNBuilder(.indication, method: Method.send, id: newID())
        builder.add(xorPeerAddress: peer)
        builder.add(data: data)
        return builder.finish(key: nil)
    }

    // MARK: - Inside

    func isPermitted(_ peer: SocketAddress) -> Bool {
        if let entry = peers[peer] { return entry.isPermitted }
        return peers.contains { $0.value.isPermitted && $0.key.hasHost(of: peer) }
    }

    private func isAsking(for peer: SocketAddress) -> Bool {
        transactions.values.contains { $0.purpose.permits(peer) }
    }

    private mutating func addPeer(_ peer: SocketAddress, now: MonotonicTime) -> Bool {
        if peers[peer] != nil {
            peers[peer]?.lastUsed = now
            return true
        }
        guard peers.count < configuration.maximumPeers else { return false }
        peers[peer] = Peer(number: nextPeer, isPermitted: isPermitted(peer), lastUsed: now)
        nextPeer += 1
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
        deadline = nil
        outputs.append(.ended(reason))
    }

    private mutating func stop() {
        (transactions, peers, channels, resting) = ([:], [:], [:], [])
        (refreshAt, expiresAt) = (nil, nil)
    }
}
