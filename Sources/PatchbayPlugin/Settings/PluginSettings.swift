/// A plugin's part of the configuration: a struct whose ``Field`` properties are its keys.
///
/// Settings nest: a type of this kind may be the value of a field, or the element of its list.
public protocol PluginSettings: FieldValue {
    /// Makes settings in which each field has its default.
    init()
}

extension PluginSettings {
    /// What to write, with its article.
    public static var noun: String { "keys and values" }

    /// JSON Schema of the object.
    public static var schema: JSONValue { Self.objectSchema(of: Self().fields) }

    /// Whether any field holds a secret.
    public static var isSecret: Bool { Self().fields.contains { $0.field.isSecret } }

    /// Reads every field, so that all faults are found at once.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Self? {
        let settings = Self()
        return reader.fill(settings.fields, from: node) ? settings : nil
    }

    /// The fields that have a value, as an object.
    public var written: JSONValue {
        let values = fields.compactMap { named in named.field.written.map { (named.name, $0) } }
        return .object(Dictionary(values.filter { $0.1 != .null }) { $1 })
    }

    /// As an entry of a list in YAML: what is not the default, in the order that it is declared.
    package var entry: String {
        let members = zip(fields, Self().fields).compactMap { named, standard -> String? in
            guard let value = named.field.written, value != .null, value != standard.field.written else { return nil }
            // Text in quotes is the same in JSON and in YAML, where a dollar sign begins a variable.
            return "\(named.name): \(value.description.replacing("$", with: "$$"))"
        }
        return "{ \(members.joined(separator: ", ")) }"
    }

    /// The fields in the order they are declared.
    package var fields: [NamedField] {
        Mirror(reflecting: self).children.compactMap { child in
            guard let label = child.label, let field = child.value as? any AnyField else { return nil }
            return NamedField(name: snakeCase(label.drop { $0 == "_" }), field: field)
        }
    }

    /// JSON Schema (2020-12) of an object with these keys and no others.
    package static func objectSchema(of fields: [NamedField]) -> JSONValue {
        let required = fields.filter { $0.field.isRequired }.map { JSONValue.string($0.name) }
        var schema: [String: JSONValue] = [
            "type": required.isEmpty ? ["object", "null"] : "object",
            "additionalProperties": false,
            "properties": .object(Dictionary(fields.map { ($0.name, $0.field.schema) }) { $1 }),
        ]
        if !required.isEmpty { schema["required"] = .array(required) }
        return .object(schema)
    }
}

/// A field and the name it has in YAML.
package struct NamedField {
    /// In snake_case.
    package let name: String
    /// The wrapper, whatever its value's type.
    package let field: any AnyField
}

/// `allowedDomains` → `allowed_domains`, `keyURL` → `key_url`, `sha256` → `sha256`.
package func snakeCase(_ name: Substring) -> String {
    let letters = Array(name)
    var result = ""
    for (index, letter) in letters.enumerated() {
        let startsWord =
            index > 0 && letter.isUppercase
            && (!letters[index - 1].isUppercase || index + 1 < letters.count && letters[index + 1].isLowercase)
        if startsWord { result += "_" }
        result += letter.lowercased()
    }
    return result
}
