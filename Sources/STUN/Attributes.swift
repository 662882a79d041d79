package import Wire

/// The attributes this module knows (RFC 8489 §18.3, RFC 8445 §16.1).
enum AttributeType: UInt16, Sendable {
    case mappedAddress = 0x0001
    case username = 0x0006
    case messageIntegrity = 0x0008
    case errorCode = 0x0009
    case unknownAttributes = 0x000a
    case realm = 0x0014
    case nonce = 0x0015
    case messageIntegritySHA256 = 0x001c
    case xorMappedAddress = 0x0020
    case priority = 0x0024
    case useCandidate = 0x0025
    case software = 0x8022
    case fingerprint = 0x8028
    case iceControlled = 0x8029
    case iceControlling = 0x802a
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

    /// UNKNOWN-ATTRIBUTES of a 420 response (RFC 8489 §14.13).
    package var unknownAttributes: [UInt16]? {
        guard let value = value(.unknownAttributes) else { return nil }
        return stride(from: value.lowerBound, to: value.upperBound - 1, by: 2).compactMap { bytes.span.uint16(at: $0) }
    }

    /// XOR-MAPPED-ADDRESS: where the other side saw the request come from (RFC 8489 §14.2).
    package var xorMappedAddress: SocketAddress? {
        let span = bytes.span
        guard let value = value(.xorMappedAddress), let family = span.byte(at: value.lowerBound + 1),
            let port = span.uint16(at: value.lowerBound + 2)
        else { return nil }
        let mask = AddressMask(id)
        let address = value.lowerBound + 4
        if family == 1, value.count == 8, let low = span.uint32(at: address) {
            return SocketAddress(ipv4: low ^ STUNMessage.magicCookie, port: port ^ mask.port)
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
    let port = UInt16(STUNMessage.magicCookie >> 16)
    let high: UInt64
    let low: UInt64

    init(_ id: TransactionID) {
        high = UInt64(STUNMessage.magicCookie) << 32 | UInt64(id.tag)
        low = id.rest
    }
}
