internal import Wire

/// A STUN message, checked for form (RFC 8489 §5). Nothing in it is proven until `hasIntegrity(key:)` says so.
///
///      0                   1                   2                   3
///     +-+-+-----------+---------------+-------------------------------+
///     |0 0|  class and method (14)    |  length of what follows (16)  |
///     +-+-+-----------+---------------+-------------------------------+
///     |                  magic cookie 0x2112A442                      |
///     +---------------------------------------------------------------+
///     |                  transaction id (96 bits)                     |
///     +---------------------------------------------------------------+
package struct STUNMessage: Sendable {
    package enum Class: UInt8, Sendable {
        case request, indication, success, error
    }

    /// Longest message that is read, in bytes.
    package static let maximumSize = 2048
    /// Most attributes that are read.
    package static let maximumAttributes = 32
    package static let magicCookie: UInt32 = 0x2112_a442
    /// The Binding method (RFC 8489 §18.2).
    package static let binding: UInt16 = 1
    /// Bytes before the attributes.
    package static let headerSize = 20

    package let `class`: Class
    /// 12 bits; `binding` for all of ICE.
    package let method: UInt16
    package let id: TransactionID
    /// Types in the comprehension-required range that this module does not know (RFC 8489 §14).
    package private(set) var unknownRequired: [UInt16] = []

    let bytes: [UInt8]
    private var attributes: [(type: AttributeType, value: Range<Int>)] = []

    /// Reads one whole datagram.
    ///
    /// What follows MESSAGE-INTEGRITY is ignored, except FINGERPRINT (RFC 8489 §14.5); of several attributes of one type
    /// the first counts (§14); a FINGERPRINT must be right and last.
    /// - Throws: what is wrong with the form; the datagram is to be dropped and counted.
    package init(parsing datagram: Span<UInt8>) throws(STUNError) {
        let count = datagram.count
        guard count >= Self.headerSize, count <= Self.maximumSize, let bytes = datagram.bytes(in: 0..<count) else {
            throw .size(count)
        }
        guard let header = Header(datagram) else { throw .notSTUN }
        guard header.length == count - Self.headerSize, count % 4 == 0 else {
            throw .length(stated: header.length, available: count - Self.headerSize)
        }
        self.class = header.class
        self.method = header.method
        self.id = header.id
        self.bytes = bytes
        try readAttributes(datagram)
    }

    private mutating func readAttributes(_ datagram: Span<UInt8>) throws(STUNError) {
        var offset = Self.headerSize
        var isSealed = false
        var seen = 0
        while let number = datagram.uint16(at: offset), let stated = datagram.uint16(at: offset + 2) {
            let length = Int(stated)
            let value = offset + 4..<offset + 4 + length
            guard value.upperBound <= datagram.count else {
                throw .attributeLength(type: number, stated: length, available: datagram.count - offset - 4)
            }
            seen += 1
            guard seen <= Self.maximumAttributes else { throw .tooManyAttributes }
            offset = value.lowerBound + (length + 3) & ~3
            let type = AttributeType(rawValue: number)
            if type == .fingerprint {
                let expected = crc32(bytes, count: value.lowerBound - 4) ^ fingerprintMask
                guard length == 4, offset == datagram.count, datagram.uint32(at: value.lowerBound) == expected else {
                    throw .fingerprint
                }
            }
            if isSealed { continue }
            if let type, method != Self.binding || !type.isOfTURN {
                attributes.append((type, value))
                isSealed = type == .messageIntegrity
            } else if number < 0x8000 {
                unknownRequired.append(number)
            }
        }
    }

    /// Where the value of the first attribute of `type` lies, without padding.
    func value(_ type: AttributeType) -> Range<Int>? {
        attributes.first { $0.type == type }?.value
    }

    /// Whether MESSAGE-INTEGRITY is there, right or wrong.
    package var isSealed: Bool { value(.messageIntegrity) != nil }

    /// Whether MESSAGE-INTEGRITY is there and right (RFC 8489 §14.5).
    /// - Parameter key: the password's bytes for short-term credentials, the MD5 key for long-term ones (§9.2.2).
    package func hasIntegrity(key: [UInt8]) -> Bool {
        guard let value = value(.messageIntegrity), value.count == 20 else { return false }
        var covered = Array(bytes[..<(value.lowerBound - 4)])
        covered.set(uint16: UInt16(truncatingIfNeeded: value.upperBound - Self.headerSize), at: 2)
        guard let digest = hmacSHA1(key: key, covered) else { return false }
        return equalInConstantTime(digest, Array(bytes[value]))
    }
}

/// What FINGERPRINT's CRC is XORed with (RFC 8489 §14.7).
let fingerprintMask: UInt32 = 0x5354_554e

/// The fixed part of a message, for the parser and for demultiplexing.
struct Header {
    let `class`: STUNMessage.Class
    let method: UInt16
    let length: Int
    let id: TransactionID

    init?(_ datagram: Span<UInt8>) {
        guard let type = datagram.uint16(at: 0), type < 0x4000, let length = datagram.uint16(at: 2),
            datagram.uint32(at: 4) == STUNMessage.magicCookie,
            let tag = datagram.uint32(at: 8), let rest = datagram.uint64(at: 12),
            let `class` = STUNMessage.Class(rawValue: UInt8(type >> 7 & 2 | type >> 4 & 1))
        else { return nil }
        self.class = `class`
        method = type & 0xf | type >> 1 & 0x70 | type >> 2 & 0xf80
        self.length = Int(length)
        id = TransactionID(tag: tag, rest: rest)
    }
}
