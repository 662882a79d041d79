package import Wire

/// The attributes this module knows (RFC 8489 §18.3, RFC 8445 §16.1, RFC 8656 §18).
enum AttributeType: UInt16, Sendable {
    case mappedAddress = 0x0001
    case username = 0x0006
    case messageIntegrity = 0x0008
    case errorCode = 0x0009
    case unknownAttributes = 0x000a
    case channelNumber = 0x000c
    case lifetime = 0x000d
    case xorPeerAddress = 0x0012
    case data = 0x0013
    case realm = 0x0014
    case nonce = 0x0015
    case xorRelayedAddress = 0x0016
    case requestedAddressFamily = 0x0017
    case requestedTransport = 0x0019
    case messageIntegritySHA256 = 0x001c
    case xorMappedAddress = 0x0020
    case priority = 0x0024
    case useCandidate = 0x0025
    case software = 0x8022
    case alternateServer = 0x8023
    case fingerprint = 0x8028
    case iceControlled = 0x8029
    case iceControlling = 0x802a

    /// Whether a Binding message has no business with it.
    var isOfTURN: Bool {
        switch self {
        case .channelNumber, .lifetime, .xorPeerAddress, .data, .xorRelayedAddress, .requestedAddressFamily,
            .requestedTransport:
            true
        case .mappedAddress, .username, .messageIntegrity, .errorCode, .unknownAttributes, .realm, .nonce,
            .messageIntegritySHA256, .xorMappedAddress, .priority, .useCandidate, .software, .alternateServer,
            .fingerprint, .iceControlled, .iceControlling:
            false
        }
    }
}

/// Attribute values; nil where one is absent or has the wrong size.
extension STUNMessage {
    /// USERNAME, at most 508 bytes (RFC 8489 §14.3); nil also when it is not UTF-8.
    package var username: String? { text(.username, limit: 508) }

    /// SOFTWARE, at most 763 bytes (RFC 8489 §14.14).
    package var software: String? { text(.software, limit: 763) }

    /// PRIORITY of a peer-reflexive candidate made from this request (RFC 8445 §7.1.1).
    package var priority: UInt32? { uint32(.priority) }

    /// Whether USE-CANDIDATE is present (RFC 8445 §7.1.2).
    package var useCandidate: Bool { value(.useCandidate) != nil }

    /// The tie-breaker in ICE-CONTROLLED (RFC 8445 §7.1.3).
    package var iceControlled: UInt64? { uint64(.iceControlled) }

    /// The tie-breaker in ICE-CONTROLLING (RFC 8445 §7.1.3).
    package var iceControlling: UInt64? { uint64(.iceControlling) }

    /// ERROR-CODE, 300 … 699 (RFC 8489 §14.8).
    package var errorCode: Int? {
        guard let value = value(.errorCode), value.count >= 4, let word = bytes.span.uint32(at: value.lowerBound) else {
            return nil
        }
        let (hundreds, rest) = (Int(word >> 8 & 7), Int(word & 0xff))
        return (3...6).contains(hundreds) && rest < 100 ? hundreds * 100 + rest : nil
    }

    /// The reason phrase of ERROR-CODE, at most 763 bytes; nil also when it is not UTF-8.
    package var reason: String? {
        guard let value = value(.errorCode), (4...763).contains(value.count) else { return nil }
        return String(validating: bytes[value.dropFirst(4)], as: UTF8.self)
    }

    /// UNKNOWN-ATTRIBUTES of a 420 response (RFC 8489 §14.13).
    package var unknownAttributes: [UInt16]? {
        guard let value = value(.unknownAttributes) else { return nil }
        return stride(from: value.lowerBound, to: value.upperBound - 1, by: 2).compactMap { bytes.span.uint16(at: $0) }
    }

    /// XOR-MAPPED-ADDRESS: where the other side saw the request come from (RFC 8489 §14.2).
    package var xorMappedAddress: SocketAddress? { address(.xorMappedAddress, mask: AddressMask(id)) }

    /// XOR-RELAYED-ADDRESS: where an allocation sends from and receives (RFC 8656 §18.5).
    package var xorRelayedAddress: SocketAddress? { address(.xorRelayedAddress, mask: AddressMask(id)) }

    /// XOR-PEER-ADDRESS: whom a relayed datagram is from or for (RFC 8656 §18.3).
    package var xorPeerAddress: SocketAddress? { address(.xorPeerAddress, mask: AddressMask(id)) }

    /// ALTERNATE-SERVER: whom to ask instead (RFC 8489 §14.15).
    package var alternateServer: SocketAddress? { address(.alternateServer, mask: .none) }

    /// REALM, at most 763 bytes (RFC 8489 §14.9); nil also when it is not UTF-8.
    package var realm: String? { text(.realm, limit: 763) }

    /// NONCE, at most 763 bytes (RFC 8489 §14.10), to be sent back as it is.
    package var nonce: [UInt8]? {
        guard let value = value(.nonce), value.count <= 763 else { return nil }
        return Array(bytes[value])
    }

    /// LIFETIME of an allocation, in seconds (RFC 8656 §18.2).
    package var lifetime: UInt32? { uint32(.lifetime) }

    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    package var channelNumber: UInt16? {
        uint32(.channelNumber).map { UInt16(truncatingIfNeeded: $0 >> 16) }
    }

    /// Where in the message the DATA of an indication lies (RFC 8656 §18.4).
    package var data: Range<Int>? { value(.data) }

    /// REQUESTED-TRANSPORT: a protocol number, 17 for UDP (RFC 8656 §18.7).
    package var requestedTransport: UInt8? {
        uint32(.requestedTransport).map { UInt8(truncatingIfNeeded: $0 >> 24) }
    }

    /// REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6); nil also for a family that does not exist.
    package var requestedAddressFamily: SocketAddress.Family? {
        switch uint32(.requestedAddressFamily).map({ $0 >> 24 }) {
        case 1: .ipv4
        case 2: .ipv6
        default: nil
        }
    }

    private func address(_ type: AttributeType, mask: AddressMask) -> SocketAddress? {
        let span = bytes.span
        guard let value = value(type), let family = span.byte(at: value.lowerBound + 1),
            let port = span.uint16(at: value.lowerBound + 2)
        else { return nil }
        let address = value.lowerBound + 4
        if family == 1, value.count == 8, let low = span.uint32(at: address) {
            return SocketAddress(ipv4: low ^ mask.cookie, port: port ^ mask.port)
        }
        if family == 2, value.count == 20, let high = span.uint64(at: address), let low = span.uint64(at: address + 8) {
            return SocketAddress(ipv6: high ^ mask.high, low ^ mask.low, port: port ^ mask.port)
        }
        return nil
    }

    private func text(_ type: AttributeType, limit: Int) -> String? {
        guard let value = value(type), value.count <= limit else { return nil }
        return String(validating: bytes[value], as: UTF8.self)
    }

    private func uint32(_ type: AttributeType) -> UInt32? {
        guard let value = value(type), value.count == 4 else { return nil }
        return bytes.span.uint32(at: value.lowerBound)
    }

    private func uint64(_ type: AttributeType) -> UInt64? {
        guard let value = value(type), value.count == 8 else { return nil }
        return bytes.span.uint64(at: value.lowerBound)
    }
}

/// What XOR-MAPPED-ADDRESS is XORed with: the cookie, and for IPv6 the transaction id behind it (RFC 8489 §14.2).
struct AddressMask {
    static let none = AddressMask(cookie: 0, high: 0, low: 0)

    let cookie: UInt32
    let high: UInt64
    let low: UInt64
    var port: UInt16 { UInt16(cookie >> 16) }

    private init(cookie: UInt32, high: UInt64, low: UInt64) {
        (self.cookie, self.high, self.low) = (cookie, high, low)
    }

    init(_ id: TransactionID) {
        cookie = STUNMessage.magicCookie
        high = UInt64(STUNMessage.magicCookie) << 32 | UInt64(id.tag)
        low = id.rest
    }
}
