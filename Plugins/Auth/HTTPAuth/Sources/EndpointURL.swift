public import PatchbayPlugin

/// The URL of the endpoint, without a secret in it.
public struct EndpointURL: FieldScalar, Hashable, ExpressibleByStringLiteral {
    /// As it is asked.
    public let text: String

    /// A URL that may be none: who asks it looks at it.
    public init(_ text: String) {
        self.text = text
    }

    /// Likewise.
    public init(stringLiteral text: String) {
        self.text = text
    }

    /// `a URL`
    public static var noun: String { "a URL" }

    /// JSON Schema: text.
    public static var schema: JSONValue { ["type": "string"] }

    /// Takes any text.
    public static func decode(_ text: String) -> EndpointURL? { EndpointURL(text) }

    /// Reads a URL. A key among its parameters is not shown.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> EndpointURL? {
        if reader.refusesCredential(inURL: node, settings: "`secret_headers`") { return nil }
        return reader.text(of: node, expected: noun).map { EndpointURL($0) }
    }

    /// The text.
    public var written: JSONValue { .string(text) }
}
