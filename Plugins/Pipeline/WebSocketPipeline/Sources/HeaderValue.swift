public import PatchbayPlugin

/// The value of a header field that is no secret.
///
/// It is not shown all the same: a secret may have been written in its place.
public struct HeaderValue: FieldValue, Hashable {
    /// As it is sent.
    public let text: String

    /// The value that is sent.
    public init(_ text: String) {
        self.text = text
    }

    /// `text`
    public static var noun: String { String.noun }

    /// JSON Schema: text.
    public static var schema: JSONValue { String.schema }

    /// What stands there may be a secret that somebody put into the wrong place.
    public static var isSecret: Bool { true }

    /// Reads text of any kind, unless the field's name says that it is a secret and it is written out.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> HeaderValue? {
        guard let text = reader.hiddenText(of: node, expected: noun) else { return nil }
        guard case .key(_, let name) = node.path, case .scalar(let scalar) = node.content,
            namesCredential(name), !isHandshakes(name.lowercased()), isWrittenOut(scalar.source[...])
        else { return HeaderValue(text) }
        let settings = name.lowercased() == "authorization" ? "`token` or `secret_headers`" : "`secret_headers`"
        reader.fault(
            at: node, "'\(printable(name))' is a secret, which does not stand here",
            help: "put it into \(settings), as { env: NAME } or { file: PATH }")
        return nil
    }

    /// What the other side may say back: all of it, and the key alone in `Token KEY` and `session=KEY`.
    var secrets: [Secret] {
        let last = text.split { $0 == " " || $0 == "=" }.last.map(String.init) ?? ""
        return Set([text, last]).filter { $0.count >= 6 }.sorted { $0.count > $1.count }.map { Secret($0) }
    }

    /// The text.
    public var written: JSONValue { .string(text) }
}
