/// What a ``Field`` can hold: text, numbers, durations, choices, secrets, references, settings, lists and maps of them.
///
/// For a type of your own, conform to ``FieldChoice`` (a word out of a few) or ``FieldScalar`` (any text of one line).
public protocol FieldValue: Sendable {
    /// What to write, with its article: `a duration`.
    static var noun: String { get }

    /// JSON Schema (2020-12) of what may be written.
    static var schema: JSONValue { get }

    /// The value where nothing is written; nil for a type that has none.
    static var absent: Self? { get }

    /// Whether what is written must not be shown to anyone.
    static var isSecret: Bool { get }

    /// Decodes; nil after a fault was reported to `reader`.
    static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Self?

    /// The value as it would be written.
    var written: JSONValue { get }
}

extension FieldValue {
    /// None.
    public static var absent: Self? { nil }

    /// It may be shown.
    public static var isSecret: Bool { false }
}

/// A value written as one scalar, decoded from its text: YAML's own idea of its type plays no part.
public protocol FieldScalar: FieldValue {
    /// Decodes the text; nil when it is not such a value.
    static func decode(_ text: String) -> Self?

    /// What to write in place of `text`, for the fault.
    static func advice(for text: String) -> String?
}

extension FieldScalar {
    /// No advice.
    public static func advice(for text: String) -> String? { nil }

    /// Decodes a scalar.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Self? {
        guard let text = reader.text(of: node, expected: noun) else { return nil }
        guard let value = decode(text) else {
            reader.mismatch(at: node, expected: noun, advice: advice(for: text))
            return nil
        }
        return value
    }
}

/// An enum of words: `enum Algorithm: String, FieldChoice { case hs256 = "HS256" }`.
public protocol FieldChoice: FieldScalar, CaseIterable, RawRepresentable where RawValue == String {}

extension FieldChoice {
    /// All the words.
    public static var noun: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }

    /// JSON Schema: an `enum`, or text with a variable in it. A word of digits is a number to YAML unless it is quoted.
    public static var schema: JSONValue {
        let words = allCases.map(\.rawValue)
        let known = JSONValue.array(words.map(JSONValue.string) + words.compactMap(Int.decode).map(JSONValue.integer))
        return ["anyOf": [["enum": known], .variableSchema]]
    }

    /// The case whose raw value the text is.
    public static func decode(_ text: String) -> Self? { Self(rawValue: text) }

    /// The word that was meant.
    public static func advice(for text: String) -> String? {
        didYouMean(text, allCases.map(\.rawValue))
    }

    /// The word.
    public var written: JSONValue { .string(rawValue) }
}

extension JSONValue {
    /// JSON Schema of text with a variable in it, whose value is not known to who only sees the file.
    package static let variableSchema: JSONValue = ["type": "string", "pattern": #"\$\{"#]
}
