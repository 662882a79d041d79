/// Why bytes are not a STUN message.
package enum STUNError: Error, Equatable, Sendable {
    case size(Int)
    case notSTUN
    case length(stated: Int, available: Int)
    case attributeLength(type: UInt16, stated: Int, available: Int)
    case tooManyAttributes
    case fingerprint
}

extension STUNError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .size(let count):
            "STUN message of \(count) bytes is not within 20 … \(STUNMessage.maximumSize) (RFC 8489 §5)"
        case .notSTUN:
            "first two bits or magic cookie are not STUN's (RFC 8489 §5)"
        case .length(let stated, let available):
            "STUN length \(stated) is not the \(available) bytes after the header (RFC 8489 §5)"
        case .attributeLength(let type, let stated, let available):
            "STUN attribute \(type) length \(stated) exceeds the \(available) bytes left (RFC 8489 §14)"
        case .tooManyAttributes:
            "more than \(STUNMessage.maximumAttributes) STUN attributes"
        case .fingerprint:
            "STUN FINGERPRINT is wrong, or not the last attribute (RFC 8489 §14.7)"
        }
    }
}
