/// A reply of the server, in the terms of RESP2. What RESP3 adds is told in those: a map is an array of keys and values in
/// turn, a set an array, a double or a big number text, a truth value 1 or 0; attributes are passed over.
package enum RESPValue: Hashable, Sendable {
    case string([UInt8])
    case integer(Int64)
    case array([RESPValue])
    case null
    /// A refusal: its code, such as `READONLY`, a space, and a sentence.
    case error(String)
    /// What the server says unasked; only ever by itself, between replies.
    case push([RESPValue])

    /// The number; nil when it is something else.
    package var integer: Int? {
        if case .integer(let number) = self { Int(exactly: number) } else { nil }
    }

    /// The text; nil when it is something else, or not UTF-8.
    package var text: String? {
        if case .string(let bytes) = self { String(validating: bytes, as: UTF8.self) } else { nil }
    }

    /// The elements; nil when it is something else.
    package var elements: [RESPValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
}
