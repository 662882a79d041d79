/// Hash of a certificate, by which the signalling vouches for the DTLS peer (RFC 8122 §5).
package struct Fingerprint: Hashable, Sendable {
    package enum Algorithm: String, CaseIterable, Sendable {
        case sha256 = "sha-256"
        case sha384 = "sha-384"
        case sha512 = "sha-512"

        /// Length of the hash in bytes.
        package var length: Int {
            switch self {
            case .sha256: 32
            case .sha384: 48
            case .sha512: 64
            }
        }
    }

    package var algorithm: Algorithm
    package var bytes: [UInt8]

    package init(algorithm: Algorithm, bytes: [UInt8]) {
        (self.algorithm, self.bytes) = (algorithm, bytes)
    }
}

extension Fingerprint {
    enum Parsed {
        case known(Fingerprint)
        /// A hash that we do not take, such as SHA-1: passed over.
        case otherAlgorithm
        case malformed
    }

    static func parse(_ value: String) -> Parsed {
        let words = value.words
        guard words.count == 2 else { return .malformed }
        guard let algorithm = Algorithm(rawValue: words[0].lowercased()) else { return .otherAlgorithm }
        let pairs = words[1].utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let bytes = pairs.compactMap { pair in
            // `UInt8.init` takes a sign too.
            pair.count == 2 && pair.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
                ? UInt8(Substring(pair), radix: 16) : nil
        }
        guard bytes.count == pairs.count, bytes.count == algorithm.length else { return .malformed }
        return .known(Fingerprint(algorithm: algorithm, bytes: bytes))
    }
}

extension Fingerprint: CustomStringConvertible {
    /// As in `a=fingerprint:`, upper-case hexadecimal with colons.
    package var description: String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            if !text.isEmpty { text.append(UInt8(ascii: ":")) }
            text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return "\(algorithm.rawValue) \(String(decoding: text, as: UTF8.self))"
    }
}
