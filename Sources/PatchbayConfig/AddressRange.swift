package import PatchbayPlugin
package import Wire

/// `10.0.0.0/8`, `fd00::/8`, or one address.
package struct AddressRange: FieldScalar, Hashable {
    private let text: String
    private let base: SocketAddress
    private let length: Int

    package static let noun = "an IP address or a range such as 10.0.0.0/8"
    package static let schema: JSONValue = ["type": "string"]

    package static func decode(_ text: String) -> AddressRange? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let base = parts.first.flatMap({ SocketAddress(String($0), port: 0) }) else { return nil }
        let bits = base.family == .ipv4 ? 32 : 128
        guard parts.count > 1 else { return AddressRange(text: text, base: base, length: bits) }
        guard parts.count == 2, let length = Int.decode(String(parts[1])), (0...bits).contains(length) else {
            return nil
        }
        return AddressRange(text: text, base: base, length: length)
    }

    package var written: JSONValue { .string(text) }

    /// Whether the range has an address; its port does not count.
    package func contains(_ address: SocketAddress) -> Bool {
        guard address.family == base.family else { return false }
        let (high, low) = (address.high ^ base.high, address.low ^ base.low)
        // A shift by the whole width gives 0: a prefix of nothing fits every address.
        return switch base.family {
        case .ipv4: low >> (32 - length) == 0
        case .ipv6: length <= 64 ? high >> (64 - length) == 0 : high == 0 && low >> (128 - length) == 0
        }
    }
}
