internal import STUN
internal import Wire

/// What the server is asked.
extension Allocation {
    mutating func request(
        _ purpose: Purpose, challenges: Int = 0, attempts: Int = Timing.attempts, now: MonotonicTime
    ) {
        let id = newID()
        let bytes = message(purpose, id: id)
        let wait = configuration.transport == .datagrams ? Timing.firstRepeat : Timing.streamTimeout
        transactions[id] = Transaction(
            purpose: purpose, bytes: bytes, isAuthenticated: key != nil, challenges: challenges,
            attempts: attempts, due: now + wait)
        outputs.append(.transmit(bytes))
    }

    func message(_ purpose: Purpose, id: TransactionID) -> [UInt8] {
        var builder: STUNBuilder
        switch purpose {
        case .allocate:
            builder = STUNBuilder(.request, method: Method.allocate, id: id)
            builder.add(requestedTransport: 17)
            // IPv4 is what a server gives that is asked for nothing, and some know nothing else (RFC 8656 §7.1).
            if configuration.family == .ipv6 { builder.add(requestedAddressFamily: .ipv6) }
        case .refresh(let lifetime):
            builder = STUNBuilder(.request, method: Method.refresh, id: id)
            builder.add(lifetime: lifetime)
        case .permit(let peer):
            builder = STUNBuilder(.request, method: Method.createPermission, id: id)
            builder.add(xorPeerAddress: peer)
        case .bind(let peer):
            builder = STUNBuilder(.request, method: Method.channelBind, id: id)
            builder.add(channelNumber: peers[peer]?.channel ?? 0)
            builder.add(xorPeerAddress: peer)
        }
        if let realm, let nonce, key != nil {
            builder.add(username: configuration.username)
            builder.add(realm: realm)
            builder.add(nonce: nonce)
        }
        return builder.finish(key: key)
    }

    /// Sends again what was not answered, and gives up what never was.
    mutating func repeatRequests(_ now: MonotonicTime) {
        for (id, transaction) in transactions where transaction.due <= now {
            guard configuration.transport == .datagrams, transaction.sent < transaction.attempts else {
                transactions[id] = nil
                giveUp(transaction.purpose, now: now)
                guard state != .ended else { return }
                continue
            }
            let wait = min(Timing.firstRepeat * (1 << min(transaction.sent, 8)), Timing.longestRepeat)
            transactions[id]?.sent += 1
            transactions[id]?.due = now + wait
            outputs.append(.transmit(transaction.bytes))
        }
    }

    private mutating func giveUp(_ purpose: Purpose, now: MonotonicTime) {
        switch purpose {
        case .allocate, .refresh: end(.unanswered)
        // It has a while to go yet; should it not, the allocation ends too.
        case .permit(let peer) where isPermitted(peer): request(purpose, now: now)
        case .permit(let peer), .bind(let peer): refuse(peer, purpose, code: nil, now: now)
        }
    }

    /// Without a channel the peer's datagrams go as indications, and without a permission not at all.
    mutating func refuse(_ peer: SocketAddress, _ purpose: Purpose, code: Int?, now: MonotonicTime) {
        guard case .permit = purpose else {
            peers[peer]?.isBound = false
            // It is asked for again then, or goes to another.
            peers[peer]?.renewChannelAt = now + Timing.idle
            return
        }
        for (address, entry) in peers where address.hasHost(of: peer) {
            peers[address]?.isPermitted = false
            peers[address]?.renewPermissionAt = nil
            // Callers name more addresses that a server refuses than it has room for.
            if entry.channel == nil { peers[address] = nil }
        }
        outputs.append(.refused(peer, code: code))
    }

    /// `after` from now on, less a random part.
    func renewal(after: Duration, now: MonotonicTime) -> MonotonicTime {
        let jitter = Int64(randomness.next() % UInt64(Timing.jitter.nanoseconds))
        return now + after - .nanoseconds(min(jitter, after.nanoseconds / 4))
    }
}
