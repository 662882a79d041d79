package import STUN
import TURN
package import Wire

/// A TURN server with one client, which keeps to RFC 8656 and its clock, unless told otherwise.
package final class FakeTURNServer {
    package static let relayed = SocketAddress(ipv4: 0xcb00_7109, port: 49_152)
    package static let mapped = SocketAddress(ipv4: 0xcb00_7101, port: 5000)
    package static let realm = "example.org"

    package var password = "secret"
    package var nonce = Array("nonce 1".utf8)
    /// Seconds.
    package var lifetime: UInt32 = 600
    package var relayed = FakeTURNServer.relayed
    /// Answers every request with credentials so, as long as it is set.
    package var error: (code: Int, method: UInt16?)?
    package var alternate: SocketAddress?
    package var rotatesForEachRequest = false
    package var isSilent = false
    package var refusesIPv6 = false
    private var rotations = 1

    package private(set) var requests: [STUNMessage] = []
    package private(set) var allocationEnds: MonotonicTime?
    private var permissions: [(peer: SocketAddress, ends: MonotonicTime)] = []
    private var channels: [UInt16: (peer: SocketAddress, ends: MonotonicTime)] = [:]
    /// What was relayed to peers.
    package private(set) var relayedData: [(peer: SocketAddress, data: [UInt8])] = []

    /// Data for a peer or of one that was not relayed.
    package private(set) var dropped = 0

    package init() {}

    private func drop() -> [UInt8]? {
        dropped += 1
        return nil
    }

    package func rotate() {
        rotations += 1
        nonce = Array("nonce \(rotations)".utf8)
    }

    package func forget() {
        (allocationEnds, permissions, channels) = (nil, [], [:])
        rotate()
    }

    /// What it answers to a datagram from its client.
    package func receive(_ datagram: [UInt8], now: MonotonicTime) throws -> [UInt8]? {
        guard !isSilent else { return nil }
        if datagram.first.map({ $0 >= 0x40 }) ?? false {
            guard let (channel, range) = ChannelData.parse(datagram.span), let entry = channels[channel],
                entry.ends > now, isPermitted(entry.peer, now)
            else { return drop() }
            relayedData.append((entry.peer, Array(datagram[range])))
            return nil
        }
        let message = try STUNMessage(parsing: datagram.span)
        if message.class == .indication {
            guard message.method == 6, let peer = message.xorPeerAddress, let data = message.data,
                isPermitted(peer, now)
            else { return drop() }
            relayedData.append((peer, Array(datagram[data])))
            return nil
        }
        requests.append(message)
        return answer(message, now)
    }

    /// What was relayed to peers since this was asked last.
    package func takeRelayedData() -> [(peer: SocketAddress, data: [UInt8])] {
        defer { relayedData = [] }
        return relayedData
    }

    /// What its client gets when `peer` sends `data`.
    package func relay(_ data: [UInt8], from peer: SocketAddress, now: MonotonicTime) -> [UInt8]? {
        guard let allocationEnds, allocationEnds > now, isPermitted(peer, now) else { return drop() }
        if let (number, _) = channels.first(where: { $0.value.peer == peer && $0.value.ends > now }) {
            var bytes: [UInt8] = []
            bytes.append(uint16: number)
            bytes.append(uint16: UInt16(data.count))
            return bytes + data
        }
        var builder = STUNBuilder(.indication, method: 7, id: TransactionID(tag: 1, rest: 2))
        builder.add(xorPeerAddress: peer)
        builder.add(data: data)
        return builder.finish(key: nil)
    }

    private func isPermitted(_ peer: SocketAddress, _ now: MonotonicTime) -> Bool {
        permissions.contains { $0.peer.hasHost(of: peer) && $0.ends > now }
    }

    private func answer(_ message: STUNMessage, _ now: MonotonicTime) -> [UInt8] {
        guard let username = message.username, message.isSealed else { return challenge(message, 401) }
        if rotatesForEachRequest { rotate() }
        guard message.nonce == nonce, message.realm == Self.realm else { return challenge(message, 438) }
        guard let key = longTermKey(username: username, realm: Self.realm, password: password),
            message.hasIntegrity(key: key)
        else { return challenge(message, 401) }
        if let error, error.method ?? message.method == message.method {
            var builder = STUNBuilder(.error, method: message.method, id: message.id)
            builder.add(errorCode: error.code, reason: "so it is")
            if let alternate { builder.add(alternateServer: alternate) }
            return builder.finish(key: key)
        }
        if let code = perform(message, now) {
            var builder = STUNBuilder(.error, method: message.method, id: message.id)
            builder.add(errorCode: code, reason: "no")
            return builder.finish(key: key)
        }
        var builder = STUNBuilder(.success, method: message.method, id: message.id)
        if message.method == 3 {
            builder.add(xorRelayedAddress: relayed)
            builder.add(xorMappedAddress: Self.mapped)
        }
        if message.method == 3 || message.method == 4 { builder.add(lifetime: lifetime) }
        return builder.finish(key: key)
    }

    private func challenge(_ message: STUNMessage, _ code: Int) -> [UInt8] {
        var builder = STUNBuilder(.error, method: message.method, id: message.id)
        builder.add(errorCode: code, reason: "")
        builder.add(realm: Self.realm)
        builder.add(nonce: nonce)
        return builder.finish(key: nil)
    }

    /// - Returns: an error code.
    private func perform(_ message: STUNMessage, _ now: MonotonicTime) -> Int? {
        if message.method == 3 {
            guard message.requestedTransport == 17 else { return 442 }
            if refusesIPv6, message.requestedAddressFamily == .ipv6 { return 440 }
            guard allocationEnds == nil else { return 437 }
            allocationEnds = now + .seconds(Int64(lifetime))
            return nil
        }
        guard let ends = allocationEnds, ends > now else { return 437 }
        switch message.method {
        case 4:
            allocationEnds = message.lifetime == 0 ? nil : now + .seconds(Int64(lifetime))
        case 8:
            guard let peer = message.xorPeerAddress else { return 400 }
            permit(peer, now)
        case 9:
            guard let peer = message.xorPeerAddress, let number = message.channelNumber,
                ChannelData.numbers.contains(number),
                // Another peer may have it five minutes after its end.
                channels[number].map({ $0.peer == peer || $0.ends + .seconds(300) <= now }) ?? true
            else { return 400 }
            channels[number] = (peer, now + .seconds(600))
            permit(peer, now)
        default:
            return 400
        }
        return nil
    }

    private func permit(_ peer: SocketAddress, _ now: MonotonicTime) {
        permissions.removeAll { $0.peer.hasHost(of: peer) }
        permissions.append((peer, now + .seconds(300)))
    }
}
