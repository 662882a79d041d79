internal import STUN
package import Wire

/// What the server sends.
extension Allocation {
    /// Takes one datagram from the server's address, or one frame of its stream.
    package mutating func receive(_ datagram: Span<UInt8>, now: MonotonicTime) -> Reception {
        guard state == .allocating || state == .allocated else { return .dropped(.unexpected) }
        if let first = datagram.byte(at: 0), first >= 0x40 { return receiveChannelData(datagram, now: now) }
        let message: STUNMessage
        do throws(STUNError) {
            message = try STUNMessage(parsing: datagram)
        } catch {
            return .dropped(.malformed)
        }
        switch message.class {
        case .request: return .dropped(.unexpected)
        case .indication: return receiveIndication(message, now: now)
        case .success, .error:
            defer { updateDeadline() }
            return receiveResponse(message, now: now)
        }
    }

    private mutating func receiveChannelData(_ datagram: Span<UInt8>, now: MonotonicTime) -> Reception {
        guard let (channel, data) = ChannelData.parse(datagram) else { return .dropped(.malformed) }
        guard let peer = channels[channel], peers[peer]?.isBound ?? false else { return .dropped(.unknownChannel) }
        peers[peer]?.lastUsed = now
        return .data(data, from: peer)
    }

    private mutating func receiveIndication(_ message: STUNMessage, now: MonotonicTime) -> Reception {
        guard message.method == Method.data, message.unknownRequired.isEmpty else { return .dropped(.unexpected) }
        guard let peer = message.xorPeerAddress, let data = message.data else { return .dropped(.malformed) }
        guard isPermitted(peer) else { return .dropped(.notPermitted) }
        peers[peer]?.lastUsed = now
        return .data(data, from: peer)
    }

    private mutating func receiveResponse(_ message: STUNMessage, now: MonotonicTime) -> Reception {
        guard let transaction = transactions[message.id], message.method == transaction.purpose.method else {
            return .dropped(.unknownTransaction)
        }
        // A challenge cannot be sealed, nor can an error of a server that did not look at the credentials.
        if let key, transaction.isAuthenticated, message.class == .success || message.isSealed {
            guard message.hasIntegrity(key: key) else { return .dropped(.badIntegrity) }
        }
        transactions[message.id] = nil
        if message.class == .success {
            guard message.unknownRequired.isEmpty else {
                end(.invalidAnswer)
                return .handled
            }
            succeed(transaction.purpose, message, now: now)
        } else {
            fail(transaction, message, now: now)
        }
        return .handled
    }

    private mutating func succeed(_ purpose: Purpose, _ message: STUNMessage, now: MonotonicTime) {
        switch purpose {
        case .allocate:
            guard let relayed = message.xorRelayedAddress, relayed.port != 0, relayed.family == configuration.family,
                let lifetime = message.lifetime, lifetime > 0
            else {
                // There are servers that know no address family and give an IPv4 address in any case: it is given back.
                outputs.append(.transmit(self.message(.refresh(lifetime: 0), id: newID())))
                return end(.invalidAnswer)
            }
            state = .allocated
            live(for: lifetime, now: now)
            outputs.append(.allocated(relayed: relayed, mapped: message.xorMappedAddress))
        case .refresh(let wanted):
            guard wanted > 0 else { return }
            guard let lifetime = message.lifetime, lifetime > 0 else { return end(.invalidAnswer) }
            live(for: lifetime, now: now)
        case .permit(let peer):
            letIn(peer, now: now)
        case .bind(let peer):
            let renewal = renewal(after: Timing.channel, now: now)
            peers[peer]?.isBound = true
            peers[peer]?.renewChannelAt = renewal
            // It comes with a permission (RFC 8656 §12.2).
            if peers[peer]?.isPermitted == false { letIn(peer, now: now) }
        }
    }

    private mutating func letIn(_ peer: SocketAddress, now: MonotonicTime) {
        let renewal = renewal(after: Timing.permission, now: now)
        var isNew = false
        for address in Array(peers.keys) where address.hasHost(of: peer) {
            isNew = isNew || !(peers[address]?.isPermitted ?? true)
            peers[address]?.isPermitted = true
            // One of them renews it for all.
            peers[address]?.renewPermissionAt = address == peer ? renewal : nil
        }
        if isNew { outputs.append(.permitted(peer)) }
    }

    /// - Parameter seconds: granted by the server.
    private mutating func live(for seconds: UInt32, now: MonotonicTime) {
        let lifetime = Duration.seconds(Int64(seconds))
        expiresAt = now + lifetime
        refreshAt = renewal(after: max(lifetime - Timing.refreshLead, lifetime / 2), now: now)
    }

    private mutating func fail(_ transaction: Transaction, _ message: STUNMessage, now: MonotonicTime) {
        let code = message.errorCode ?? 500
        if code == 401 || code == 438, let realm = message.realm ?? realm, let nonce = message.nonce {
            // A 401 to credentials with this nonce says that they are wrong (RFC 8489 §9.2.5).
            guard code == 438 || !transaction.isAuthenticated, transaction.challenges < Timing.challenges else {
                return end(.unauthorized)
            }
            (self.realm, self.nonce) = (realm, nonce)
            key = longTermKey(username: configuration.username, realm: realm, password: configuration.password)
            return request(transaction.purpose, challenges: transaction.challenges + 1, now: now)
        }
        switch transaction.purpose {
        case .allocate, .refresh:
            end(reason(code, message))
        case .permit(let peer), .bind(let peer):
            guard code != 437 else { return end(.mismatch) }
            // coturn says no more than this to whom it does not know, since a NAT has changed our address.
            if code == 400 { check(now: now) }
            refuse(peer, transaction.purpose, code: code, now: now)
        }
    }

    private func reason(_ code: Int, _ message: STUNMessage) -> EndReason {
        switch code {
        case 300: message.alternateServer.map { .tryAlternate($0) } ?? .invalidAnswer
        case 401, 438, 441: .unauthorized
        case 437: .mismatch
        default: .refused(code: code, reason: message.reason ?? "")
        }
    }
}

extension Allocation.Purpose {
    var method: UInt16 {
        switch self {
        case .allocate: Method.allocate
        case .refresh: Method.refresh
        case .permit: Method.createPermission
        case .bind: Method.channelBind
        }
    }
}
