import Synchronization

/// One setting: what it means, its type and its default. Its name in YAML is the property's in snake_case.
///
/// ```swift
/// @Field("How long the caller is quiet before the answer starts") public var pause: Duration = .milliseconds(600)
/// @Field("Calls at the same time", in: 1...10_000) public var limit: Int
/// @Field("Who signs") public var issuer: String?
/// ```
/// A field without a default must be written, unless its type is optional. The declaration is all there is: decoding,
/// `check`, `plugins` and the JSON Schema read it.
@propertyWrapper
public struct Field<Value: FieldValue>: Sendable {
    package let summary: String
    private let bounds: Bounds?
    private var box: Box

    /// A field that must be written, or may be left out when its type is optional.
    public init(_ summary: String) {
        self.init(summary, bounds: nil, default: Value.absent)
    }

    /// A field that may be left out.
    public init(wrappedValue: Value, _ summary: String) {
        self.init(summary, bounds: nil, default: wrappedValue)
    }

    /// A field that must be written and lie within `range`.
    public init(_ summary: String, in range: ClosedRange<Value>) where Value: Comparable {
        self.init(summary, bounds: Bounds(range) { range.contains($0) }, default: Value.absent)
    }

    /// A field that may be left out and lies within `range`.
    public init(wrappedValue: Value, _ summary: String, in range: ClosedRange<Value>) where Value: Comparable {
        self.init(summary, bounds: Bounds(range) { range.contains($0) }, default: wrappedValue)
    }

    /// An optional field that lies within `range` where it is written.
    public init<Wrapped: FieldValue & Comparable>(_ summary: String, in range: ClosedRange<Wrapped>)
    where Value == Wrapped? {
        self.init(summary, bounds: Bounds(range) { $0.map(range.contains) ?? true }, default: Value.absent)
    }

    private init(_ summary: String, bounds: Bounds?, default value: Value?) {
        self.summary = summary
        self.bounds = bounds
        box = Box(value)
    }

    /// The decoded value, or the default. A required field has none before it was decoded or set.
    public var wrappedValue: Value {
        get {
            guard let value = decoded else {
                preconditionFailure("a required setting was read before it was decoded or set: \(summary)")
            }
            return value
        }
        set { box = Box(newValue) }
    }

    /// The decoded value, or the default; nil where there is neither.
    package var decoded: Value? { box.value.withLock { $0 } }

    /// Where decoding puts the value.
    ///
    /// Each `Settings()` has boxes of its own, and setting a value replaces its box: copies stay apart.
    private final class Box: Sendable {
        let value: Mutex<Value?>

        init(_ value: Value?) {
            self.value = Mutex(value)
        }
    }

    private struct Bounds: Sendable {
        let lower: JSONValue
        let upper: JSONValue
        let contains: @Sendable (Value) -> Bool

        init<Bound: FieldValue>(_ range: ClosedRange<Bound>, contains: @escaping @Sendable (Value) -> Bool) {
            lower = range.lowerBound.written
            upper = range.upperBound.written
            self.contains = contains
        }
    }
}

/// A ``Field`` without its type.
package protocol AnyField {
    /// What the setting means.
    var summary: String { get }
    /// What to write, with its article and bounds.
    var noun: String { get }
    /// JSON Schema of the value.
    var schema: JSONValue { get }
    /// The current value; nil when the field is required and was not decoded.
    var written: JSONValue? { get }
    /// Whether the value must not be shown.
    var isSecret: Bool { get }
    /// The fields of the settings that the value holds, itself or as elements.
    var nested: [NamedField] { get }
    /// What stands between the field's name and those of `nested`: `[]` for a list, `.NAME` for a map, else nothing.
    var step: String { get }
    /// What each element of a list or map is, with its article; nil for a value of another kind.
    var elementNoun: String? { get }
    /// Decodes into the field; false after a fault was reported.
    func fill(from node: SettingsNode, _ reader: SettingsReader) -> Bool
}

extension AnyField {
    /// Whether the key must be written. Right only on settings that were not decoded yet.
    package var isRequired: Bool { written == nil }
}

extension Field: AnyField {
    package var noun: String {
        guard let bounds else { return Value.noun }
        let end = bounds.upper == .integer(.max) ? "up" : "to \(bounds.upper.plain)"
        return "\(Value.noun) from \(bounds.lower.plain) \(end)"
    }

    package var written: JSONValue? { decoded?.written }

    package var nested: [NamedField] { nestedFields(of: Value.self) }

    package var step: String { nestedStep(of: Value.self) }

    package var elementNoun: String? { nounOfElements(of: Value.self) }

    package var isSecret: Bool { Value.isSecret }

    package var schema: JSONValue {
        var schema = Value.schema.object ?? [:]
        schema["description"] = .string(summary)
        if let written, written != .null, !isSecret { schema["default"] = written }
        if let bounds, bounds.lower.string == nil {
            schema["minimum"] = bounds.lower
            schema["maximum"] = bounds.upper
        }
        return .object(schema)
    }

    package func fill(from node: SettingsNode, _ reader: SettingsReader) -> Bool {
        guard let value = Value.read(node, reader) else { return false }
        guard bounds?.contains(value) ?? true else {
            reader.mismatch(at: node, expected: noun)
            return false
        }
        box.value.withLock { $0 = value }
        return true
    }
}

/// A type whose values hold values of another.
package protocol FieldContainer {
    /// What they hold.
    static var element: any FieldValue.Type { get }
    /// `[]` for a list, `.NAME` for a map; empty unless it says otherwise.
    static var step: String { get }
}

extension FieldContainer {
    package static var step: String { "" }
}

extension Optional: FieldContainer where Wrapped: FieldValue {
    package static var element: any FieldValue.Type { Wrapped.self }
}

extension Array: FieldContainer where Element: FieldValue {
    package static var element: any FieldValue.Type { Element.self }
    package static var step: String { "[]" }
}

extension Dictionary: FieldContainer where Key == String, Value: FieldValue {
    package static var element: any FieldValue.Type { Value.self }
    package static var step: String { ".NAME" }
}

private func nestedFields(of type: any FieldValue.Type) -> [NamedField] {
    if let settings = type as? any PluginSettings.Type { return settings.init().fields }
    return (type as? any FieldContainer.Type).map { nestedFields(of: $0.element) } ?? []
}

private func nestedStep(of type: any FieldValue.Type) -> String {
    (type as? any FieldContainer.Type).map { $0.step + nestedStep(of: $0.element) } ?? ""
}

private func nounOfElements(of type: any FieldValue.Type) -> String? {
    guard let container = type as? any FieldContainer.Type else { return nil }
    return container.step.isEmpty ? nounOfElements(of: container.element) : container.element.noun
}
