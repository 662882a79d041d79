internal import Crypto
public import PatchbayPlugin

/// The SHA-256 of an API key, written `sha256:` and 64 hexadecimal digits.
///
/// One round without salt is enough for keys that are random: there is nothing to guess from. It would not be for passwords.
public struct KeyHash: Hashable, FieldScalar {
    /// 32 bytes.
    private let bytes: [UInt8]

    /// The hash of a key's UTF-8.
    init(of key: String) {
        bytes = Array(SHA256.hash(data: Array(key.utf8)))
    }

    /// 64 digits from 0 to f; nil for anything else.
    init?(hexadecimal text: String) {
        let digits = text.utf8.compactMap { digit -> UInt8? in
            switch Unicode.Scalar(digit) {
            case "0"..."9": digit - UInt8(ascii: "0")
            case "a"..."f": digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        guard digits.count == 64, text.utf8.count == 64 else { return nil }
        bytes = stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// 64 hexadecimal digits.
    var hexadecimal: String {
        bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// Whether both are the same, found out in the same time wherever they differ.
    func isSame(as other: KeyHash) -> Bool {
        zip(bytes, other.bytes).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension KeyHash {
    private static let prefix = "sha256:"

    /// `a hash`
    public static var noun: String { "a hash" }

    /// JSON Schema: its form.
    public static var schema: JSONValue { ["type": "string", "pattern": #"^sha256:[0-9A-Fa-f]{64}$|\$\{"#] }

    /// What stands in its place may be the key itself.
    public static var isSecret: Bool { true }

    /// Reads a hash. Anything else is not shown to anyone.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> KeyHash? {
        guard case .scalar(let scalar) = node.content, let hash = decode(scalar.text) else {
            reader.fault(at: node, "expected a hash, found something else", help: form)
            return nil
        }
        return hash
    }

    /// `sha256:` and 64 hexadecimal digits.
    public static func decode(_ text: String) -> KeyHash? {
        text.hasPrefix(prefix) ? KeyHash(hexadecimal: text.dropFirst(prefix.count).lowercased()) : nil
    }

    private static let form =
        "write sha256: and the 64 digits of `printf %s KEY | sha256sum`; `patchbay token api-key` makes a key and its hash"

    /// As it is written.
    public var written: JSONValue { .string(Self.prefix + hexadecimal) }
}
