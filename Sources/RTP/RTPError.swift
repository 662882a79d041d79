/// Why a packet is dropped.
package enum RTPError: Error, Equatable, Sendable {
    case tooShort(count: Int)
    case version(UInt8)
    /// CSRCs or the header extension reach past the end; the payload is where the payload would start.
    case truncated(needed: Int, count: Int)
    case padding(UInt8)
}

extension RTPError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooShort(let count): "packet of \(count) bytes has no whole header (RFC 3550 §5.1, §6.4)"
        case .version(let version): "version \(version) instead of 2 (RFC 3550 §5.1)"
        case .truncated(let needed, let count): "needs \(needed) bytes and has \(count) (RFC 3550 §5.1, §6.4)"
        case .padding(let length): "\(length) bytes of padding are 0 or more than there is room for (RFC 3550 §5.1)"
        }
    }
}
