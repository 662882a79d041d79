package import Wire

/// Builds one STUN message. MESSAGE-INTEGRITY and FINGERPRINT come last because only `finish` can write them.
package struct STUNBuilder: ~Copyable {
    private var bytes: [UInt8] = []
    private let id: TransactionID

    /// - Parameter method: 12 bits, Binding unless said otherwise.
    package init(_ class: STUNMessage.Class, method: UInt16 = STUNMessage.binding, id: TransactionID) {
        self.id = id
        let bits = UInt16(`class`.rawValue)
        bytes.reserveCapacity(128)
        bytes.append(
            uint16: (method & 0xf80) << 2 | (method & 0x70) << 1 | method & 0xf | (bits & 2) << 7 | (bits & 1) << 4)
        bytes.append(uint16: 0)
        bytes.append(uint32: STUNMessage.magicCookie)
        bytes.append(uint32: id.tag)
        bytes.append(uint64: id.rest)
    }

    package mutating func add(username: String) { append(.username, Array(username.utf8)) }

    package mutating func add(software: String) { append(.software, Array(software.utf8)) }

    package mutating func add(realm: String) { append(.realm, Array(realm.utf8)) }

    package mutating func add(nonce: [UInt8]) { append(.nonce, nonce) }

    /// - Parameter lifetime: seconds.
    package mutating func add(lifetime: UInt32) { append(.lifetime, word: lifetime) }

    package mutating func add(channelNumber: UInt16) { append(.channelNumber, word: UInt32(channelNumber) << 16) }

    /// - Parameter data: what is relayed, at most a datagram.
    package mutating func add(data: [UInt8]) { append(.data, data) }

    /// - Parameter requestedTransport: a protocol number, 17 for UDP.
    package mutating func add(requestedTransport: UInt8) {
        append(.requestedTransport, word: UInt32(requestedTransport) << 24)
    }

    package mutating func add(requestedAddressFamily family: SocketAddress.Family) {
        append(.requestedAddressFamily, word: family == .ipv4 ? 1 << 24 : 2 << 24)
    }

    package mutating func add(xorPeerAddress address: SocketAddress) {
        append(.xorPeerAddress, address, mask: AddressMask(id))
    }

    package mutating func add(xorRelayedAddress address: SocketAddress) {
        append(.xorRelayedAddress, address, mask: AddressMask(id))
    }

    package mutating func add(alternateServer address: SocketAddress) {
        append(.alternateServer, address, mask: .none)
    }

    package mutating func add(priority: UInt32) {
        append(.priority, word: priority)
    }

    package mutating func addUseCandidate() { append(.useCandidate, []) }

    package mutating func add(iceControlled tieBreaker: UInt64) { append(.iceControlled, tieBreaker) }

    package mutating func add(iceControlling tieBreaker: UInt64) { append(.iceControlling, tieBreaker) }

    /// - Parameters:
    ///   - errorCode: 300 … 699.
    ///   - reason: for a human, best short.
    package mutating func add(errorCode: Int, reason: String) {
        var value: [UInt8] = []
        value.append(uint16: 0)
        value += [UInt8(truncatingIfNeeded: errorCode / 100), UInt8(truncatingIfNeeded: errorCode % 100)]
        append(.errorCode, value + Array(reason.utf8))
    }

    package mutating func add(unknownAttributes types: [UInt16]) {
        var value: [UInt8] = []
        for type in types { value.append(uint16: type) }
        append(.unknownAttributes, value)
    }

    package mutating func add(xorMappedAddress address: SocketAddress) {
        append(.xorMappedAddress, address, mask: AddressMask(id))
    }

    /// The message, with MESSAGE-INTEGRITY when there is a key, and FINGERPRINT.
    /// - Parameter key: the password's bytes for short-term credentials (RFC 8489 §9.1.1), `longTermKey` for others.
    package consuming func finish(key: [UInt8]?) -> [UInt8] {
        if let key {
            setLength(adding: 24)
            append(.messageIntegrity, hmacSHA1(key: key, bytes) ?? [UInt8](repeating: 0, count: 20))
        }
        setLength(adding: 8)
        var value: [UInt8] = []
        value.append(uint32: crc32(bytes, count: bytes.count) ^ fingerprintMask)
        append(.fingerprint, value)
        return bytes
    }

    private mutating func append(_ type: AttributeType, _ value: [UInt8]) {
        bytes.append(uint16: type.rawValue)
        bytes.append(uint16: UInt16(truncatingIfNeeded: value.count))
        bytes += value
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func append(_ type: AttributeType, word: UInt32) {
        var value: [UInt8] = []
        value.append(uint32: word)
        append(type, value)
    }

    private mutating func append(_ type: AttributeType, _ address: SocketAddress, mask: AddressMask) {
        var value: [UInt8] = [0, address.family == .ipv4 ? 1 : 2]
        value.append(uint16: address.port ^ mask.port)
        switch address.family {
        case .ipv4:
            value.append(uint32: UInt32(truncatingIfNeeded: address.low) ^ mask.cookie)
        case .ipv6:
            value.append(uint64: address.high ^ mask.high)
            value.append(uint64: address.low ^ mask.low)
        }
        append(type, value)
    }

    private mutating func append(_ type: AttributeType, _ tieBreaker: UInt64) {
        var value: [UInt8] = []
        value.append(uint64: tieBreaker)
        append(type, value)
    }

    private mutating func setLength(adding more: Int) {
        bytes.set(uint16: UInt16(truncatingIfNeeded: bytes.count + more - STUNMessage.headerSize), at: 2)
    }
}
