extension Optional: FieldValue where Wrapped: FieldValue {
    /// The value's.
    public static var noun: String { Wrapped.noun }
    /// The value's.
    public static var schema: JSONValue { Wrapped.schema }
    /// nil: an optional field may be left out.
    public static var absent: Wrapped?? { .some(nil) }
    /// The value's.
    public static var isSecret: Bool { Wrapped.isSecret }
    /// Reads the value.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Wrapped?? {
        Wrapped.read(node, reader).map { .some($0) }
    }
    /// The value, or null.
    public var written: JSONValue { self?.written ?? .null }
}

extension Array: FieldValue where Element: FieldValue {
    /// `a list`
    public static var noun: String { "a list" }
    /// JSON Schema: an array.
    public static var schema: JSONValue { ["type": ["array", "null"], "items": Element.schema] }
    /// Whether the elements are.
    public static var isSecret: Bool { Element.isSecret }
    /// Reads every element.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> [Element]? {
        guard let nodes = reader.list(of: node, isSecret: isSecret) else { return nil }
        let elements = nodes.compactMap { Element.read($0, reader) }
        return elements.count == nodes.count ? elements : nil
    }
    /// The elements.
    public var written: JSONValue { .array(map(\.written)) }
}

extension Dictionary: FieldValue where Key == String, Value: FieldValue {
    /// `names and values`
    public static var noun: String { "names and values" }
    /// JSON Schema: an object with names of any kind.
    public static var schema: JSONValue { ["type": ["object", "null"], "additionalProperties": Value.schema] }
    /// Whether the values are.
    public static var isSecret: Bool { Value.isSecret }
    /// Reads every value.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> [String: Value]? {
        guard let entries = reader.entries(of: node, expected: noun, isSecret: isSecret) else { return nil }
        let pairs = entries.compactMap { entry in Value.read(entry.value, reader).map { (entry.name, $0) } }
        return pairs.count == entries.count ? Dictionary(pairs) { $1 } : nil
    }
    /// The values by name.
    public var written: JSONValue { .object(mapValues(\.written)) }
}

extension JSONValue: FieldValue {
    /// `any value`
    public static var noun: String { "any value" }
    /// JSON Schema: anything.
    public static var schema: JSONValue { [:] }

    /// Takes what is written; unquoted `true`, `false`, `null` and numbers are what they are in JSON, all else is text.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> JSONValue? {
        reader.show(node)
        return value(of: node)
    }

    private static func value(of node: SettingsNode) -> JSONValue? {
        switch node.content {
        case .list(let nodes):
            let elements = nodes.compactMap { value(of: $0) }
            return elements.count == nodes.count ? .array(elements) : nil
        case .map(let entries):
            let pairs = entries.compactMap { entry in value(of: entry.value).map { (entry.name, $0) } }
            return pairs.count == entries.count ? .object(Dictionary(pairs) { $1 }) : nil
        case .invalid: return nil
        case .scalar(let scalar):
            guard scalar.isPlain else { return .string(scalar.text) }
            if scalar.text.isEmpty || scalar.text == "null" { return .null }
            return Bool.decode(scalar.text).map(JSONValue.bool) ?? Int.decode(scalar.text).map(JSONValue.integer)
                ?? Double.decode(scalar.text).map(JSONValue.number) ?? .string(scalar.text)
        }
    }

    /// Itself.
    public var written: JSONValue { self }
}

extension JSONValue {
    /// The value without quotes where it is text.
    package var plain: String { string ?? description }
}
