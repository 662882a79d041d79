/// The name of an instance under `stores:`. `PluginContext.store(_:)` has the store.
public struct StoreReference: FieldValue, Hashable {
    /// As it is written.
    public let name: String

    /// Names a store, which tests do.
    public init(_ name: String) {
        self.name = name
    }

    /// `the name of a store`
    public static var noun: String { "the name of a store" }

    /// JSON Schema: a name.
    public static var schema: JSONValue { ["type": "string"] }

    /// Reads the name. Whether there is such a store is checked when all stores are known.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> StoreReference? {
        guard let name = reader.text(of: node, expected: noun) else { return nil }
        reader.noteStore(node)
        return StoreReference(name)
    }

    /// The name.
    public var written: JSONValue { .string(name) }
}

/// The path of a file that is read. In the configuration it is relative to the configuration file's folder.
///
/// When the file is another at a reload, the instance is made anew.
public struct FileReference: FieldValue, Hashable {
    /// Absolute, or relative to the working directory.
    public let path: String

    /// Makes a reference, which tests and defaults do.
    public init(_ path: String) {
        self.path = path
    }

    /// `a path`
    public static var noun: String { "a path" }

    /// JSON Schema: text.
    public static var schema: JSONValue { String.schema }

    /// Reads and resolves the path. Whether the file is there is not looked at.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> FileReference? {
        guard let path = reader.text(of: node, expected: noun) else { return nil }
        let file = FileReference(reader.resolve(path))
        reader.note(.file(file.path))
        return file
    }

    /// The path.
    public var written: JSONValue { .string(path) }
}

/// The path of a file that the plugin writes itself, so that no change of it is news. In the configuration it is relative to
/// the configuration file's folder.
public struct OwnFile: FieldValue, Hashable {
    /// Absolute, or relative to the working directory.
    public let path: String

    /// Makes a reference, which tests and defaults do.
    public init(_ path: String) {
        self.path = path
    }

    /// `a path`
    public static var noun: String { FileReference.noun }

    /// JSON Schema: text.
    public static var schema: JSONValue { FileReference.schema }

    /// Reads and resolves the path. Whether the file is there is not looked at.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> OwnFile? {
        reader.text(of: node, expected: noun).map { OwnFile(reader.resolve($0)) }
    }

    /// The path.
    public var written: JSONValue { .string(path) }
}
