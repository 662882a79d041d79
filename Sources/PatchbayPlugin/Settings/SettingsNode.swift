/// A piece of the configuration: a scalar, a list or a map, and where it stands.
public struct SettingsNode: Sendable {
    package indirect enum Content: Sendable {
        case scalar(Scalar)
        case list([SettingsNode])
        case map([Entry])
        /// Something that a fault was reported for already.
        case invalid
    }

    package struct Scalar: Sendable {
        /// The value, its `${NAME}` expanded.
        package var text: String
        /// The value as it stands in the file.
        package var source: String
        /// Without quotes.
        package var isPlain: Bool

        package init(text: String, source: String, isPlain: Bool) {
            self.text = text
            self.source = source
            self.isPlain = isPlain
        }
    }

    package struct Entry: Sendable {
        package var name: String
        package var range: SourceRange
        package var value: SettingsNode

        package init(name: String, range: SourceRange, value: SettingsNode) {
            self.name = name
            self.range = range
            self.value = value
        }
    }

    package var content: Content
    /// Where it stands.
    package var range: SourceRange
    /// The key before it, else where it starts: the place to say that something is missing in it.
    package var anchor: SourceRange
    package var path: SettingsPath

    package init(content: Content, range: SourceRange, anchor: SourceRange, path: SettingsPath) {
        self.content = content
        self.range = range
        self.anchor = anchor
        self.path = path
    }

    /// A key with nothing behind it.
    package var isEmpty: Bool {
        if case .scalar(let scalar) = content { scalar.isPlain && scalar.source.isEmpty } else { false }
    }

    /// The value of a map's key.
    package subscript(name: String) -> SettingsNode? {
        if case .map(let entries) = content { entries.first { $0.name == name }?.value } else { nil }
    }
}

/// A place in a file: from the first character to behind the last.
///
/// Lines and columns count from 0, columns in Unicode scalars.
package struct SourceRange: Hashable, Sendable {
    /// Which file, where a configuration has several; 0 is the first.
    package var file: Int
    package var line: Int
    package var column: Int
    package var endLine: Int
    package var endColumn: Int

    package init(file: Int = 0, line: Int, column: Int, endLine: Int, endColumn: Int) {
        self.file = file
        self.line = line
        self.column = column
        self.endLine = endLine
        self.endColumn = endColumn
    }
}

/// `tenants.default.auth[0]`, kept as links because most nodes never print theirs.
package indirect enum SettingsPath: Sendable, CustomStringConvertible {
    case root
    case key(SettingsPath, String)
    case index(SettingsPath, Int)

    package var description: String {
        switch self {
        case .root: ""
        case .key(.root, let name): printable(name)
        case .key(let parent, let name): "\(parent).\(printable(name))"
        case .index(let parent, let index): "\(parent)[\(index)]"
        }
    }
}

/// Something wrong in the configuration, before it is put beside its source line.
package struct SettingsProblem: Sendable {
    package var range: SourceRange
    package var path: SettingsPath
    package var message: String
    package var help: String?
    /// Whether it is that an environment variable is not set.
    package var isUnsetVariable = false

    package init(range: SourceRange, path: SettingsPath, message: String, help: String? = nil) {
        self.range = range
        self.path = path
        self.message = message
        self.help = help
    }
}

/// A part of the configuration that is decoded later, when its type is known.
extension SettingsNode: FieldValue {
    /// `keys and values`
    public static var noun: String { "keys and values" }
    /// JSON Schema: an object.
    public static var schema: JSONValue { ["type": "object"] }
    /// It may hold secrets.
    public static var isSecret: Bool { true }
    /// Takes it as it is.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> SettingsNode? { node }
    /// Not written again.
    public var written: JSONValue { .null }
}
