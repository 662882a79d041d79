/// A key or password that never prints.
///
/// It comes from `{ env: NAME }` or `{ file: PATH }`, never from the configuration itself.
public struct Secret: Sendable {
    private let value: String

    /// Makes a secret, which tests do.
    public init(_ value: String) {
        self.value = value
    }

    /// Hands out the value. Keep it no longer than it is needed.
    public func withValue<Result, Failure: Error>(_ body: (String) throws(Failure) -> Result) throws(Failure) -> Result
    {
        try body(value)
    }

    /// What somebody says who was told the secret, fit for a log: `<secret>` stands in its place.
    public func hidden(in text: String) -> String {
        // By scalars: a combining mark behind the secret does not make it another.
        let (hidden, shown) = (value.unicodeScalars, description.unicodeScalars)
        return hidden.isEmpty ? text : String(text.unicodeScalars.replacing(hidden, with: shown))
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `<secret>`
    public var description: String { "<secret>" }
    /// `<secret>`
    public var debugDescription: String { description }
    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret: FieldValue {
    /// `a secret`
    public static var noun: String { "a secret" }

    /// JSON Schema: where the secret comes from.
    public static var schema: JSONValue {
        [
            "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": [
                "env": ["type": "string", "description": "Name of an environment variable"],
                "file": ["type": "string", "description": "Path of a file; relative to the configuration's folder"],
            ],
        ]
    }

    /// It must not be shown.
    public static var isSecret: Bool { true }

    /// `<secret>`
    public var written: JSONValue { .string(description) }

    /// Fetches the secret.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Secret? {
        let form = "use { env: NAME } or { file: PATH }"
        guard case .map(let entries) = node.content else {
            reader.fault(
                at: node, node.isEmpty ? "expected a secret, found nothing" : "a secret cannot be written here",
                help: form)
            return nil
        }
        guard let entry = entries.first, entries.count == 1, ["env", "file"].contains(entry.name) else {
            reader.fault(at: node, "a secret comes from one place", help: form)
            return nil
        }
        guard let name = reader.text(of: entry.value, expected: entry.name == "env" ? "a name" : "a path") else {
            return nil
        }
        guard let text = entry.name == "env" ? environment(name, entry, reader) : file(name, entry, reader) else {
            return nil
        }
        guard !text.isEmpty else {
            reader.fault(
                at: entry.value,
                "the \(entry.name == "env" ? "environment variable" : "file") '\(printable(name))' is empty")
            return nil
        }
        let secret = Secret(text)
        reader.note(.secret(secret))
        return secret
    }

    private static func environment(_ name: String, _ entry: SettingsNode.Entry, _ reader: SettingsReader) -> String? {
        guard let text = reader.environment[name] else {
            var problem = SettingsProblem(
                range: entry.value.range, path: entry.value.path,
                message: "the environment variable '\(printable(name))' is not set")
            problem.isUnsetVariable = true
            reader.report(problem)
            return nil
        }
        return text
    }

    private static func file(_ name: String, _ entry: SettingsNode.Entry, _ reader: SettingsReader) -> String? {
        let bytes: [UInt8]
        do {
            bytes = try reader.readFile(reader.resolve(name))
        } catch {
            reader.fault(at: entry.value, "cannot read the secret's file '\(printable(name))': \(error)")
            return nil
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            reader.fault(at: entry.value, "the secret's file '\(printable(name))' is not UTF-8 text")
            return nil
        }
        // "\r\n" is one Character.
        return text.last?.isNewline == true ? String(text.dropLast()) : text
    }
}
