import Foundation
import Synchronization

/// What is secret of all that tests give to what they test and get from it, and the search for it in what this has written:
/// `Tests/EndToEnd/leaks.py` for the tests of one process.
package enum Leaks {
    /// In characters. What is shorter nobody would use, and it may stand in a log for another reason.
    private static let shortest = 16

    /// Each way to write a secret, by its first 16 bytes.
    private static let known = Mutex<[UInt128: [(written: [UInt8], name: String)]]>([:])

    /// Remembers a secret under the name by which it is told when it is found. Hands it back.
    @discardableResult
    package static func secret(_ name: String, _ value: String) -> String {
        guard value.count >= shortest else { return value }
        let ways = [value, inJSON(value), percentEncoded(value)].map { Array($0.utf8) }
        known.withLock { known in
            for way in ways {
                let start = way.prefix(shortest).reduce(UInt128(0)) { bytes, byte in bytes &<< 8 | UInt128(byte) }
                let isKnown = known[start, default: []].contains { $0.written == way }
                if !isKnown { known[start, default: []].append((written: way, name: name)) }
            }
        }
        return value
    }

    /// The same of a bearer token: of a JWT the signature, without which the rest is of no use, and which is looked for by
    /// itself.
    @discardableResult
    package static func token(_ token: String) -> String {
        let last = token.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
        secret("a bearer token", String(last))
        return token
    }

    /// The names of the secrets that stand in a text, however many are known.
    package static func found(in text: String) -> Set<String> {
        let bytes = Array(text.utf8)
        return known.withLock { known in
            var names: Set<String> = []
            var latest = UInt128(0)  // 16 bytes
            for (index, byte) in bytes.enumerated() {
                latest = latest &<< 8 | UInt128(byte)
                guard index >= shortest - 1, let secrets = known[latest] else { continue }
                let rest = bytes[(index - shortest + 1)...]
                for secret in secrets where rest.starts(with: secret.written) { names.insert(secret.name) }
            }
            return names
        }
    }

    // MARK: - Other ways to write a text

    /// Without the quotation marks.
    private static func inJSON(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let json = try? encoder.encode(text) else { return text }
        return String(decoding: json.dropFirst().dropLast(), as: UTF8.self)
    }

    private static func percentEncoded(_ text: String) -> String {
        let unreserved = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
        return text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? text
    }
}
