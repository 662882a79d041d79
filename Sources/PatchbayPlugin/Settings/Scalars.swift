extension String: FieldScalar {
    /// `text`
    public static var noun: String { "text" }
    /// JSON Schema: any scalar, since its text is taken as it stands.
    public static var schema: JSONValue { ["type": ["string", "number", "boolean"]] }
    /// The text as it stands.
    public static func decode(_ text: String) -> String? { text }
    /// The text.
    public var written: JSONValue { .string(self) }
}

extension Int: FieldScalar {
    /// `a whole number`
    public static var noun: String { "a whole number" }
    /// JSON Schema: an integer, or text with a variable in it.
    public static var schema: JSONValue { ["type": ["integer", "string"], "pattern": #"^-?[0-9]+$|\$\{"#] }
    /// Decimal digits, with a minus sign perhaps; no leading zero, which YAML 1.1 would have read as octal.
    public static func decode(_ text: String) -> Int? {
        guard let value = Int(text), String(value) == text else { return nil }
        return value
    }
    /// The number.
    public var written: JSONValue { .integer(self) }
}

extension Double: FieldScalar {
    /// `a number`
    public static var noun: String { "a number" }
    /// JSON Schema: a number, or text with a variable in it.
    public static var schema: JSONValue { ["type": ["number", "string"]] }
    /// A finite decimal number.
    public static func decode(_ text: String) -> Double? {
        guard text.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }), let value = Double(text), value.isFinite
        else { return nil }
        return value
    }
    /// The number.
    public var written: JSONValue { .number(self) }
}

extension Bool: FieldScalar {
    /// `true or false`
    public static var noun: String { "true or false" }
    /// JSON Schema: a boolean, or text with a variable in it.
    public static var schema: JSONValue { ["type": ["boolean", "string"], "pattern": #"^(true|false)$|\$\{"#] }
    /// `true` or `false`, and no other spelling.
    public static func decode(_ text: String) -> Bool? {
        switch text {
        case "true": true
        case "false": false
        default: nil
        }
    }
    /// The truth value.
    public var written: JSONValue { .bool(self) }
}

extension Duration: FieldScalar {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("ms", 1), ("s", 1000),
    ]

    /// `a duration`
    public static var noun: String { "a duration" }

    /// JSON Schema: a number and a unit.
    public static var schema: JSONValue {
        ["type": ["string", "integer"], "pattern": #"^(0|[0-9]+(ms|s|m|h|d))$|\$\{"#, "maximum": 0]
    }

    /// A whole number and `ms`, `s`, `m`, `h` or `d`, up to 100 years; or `0`.
    public static func decode(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let suffix = text.dropFirst(digits.count)
        guard let unit = units.first(where: { $0.suffix == suffix }), let number = Int64(digits),
            number <= 36_500 * 86_400_000 / unit.milliseconds
        else { return nil }
        return .milliseconds(number * unit.milliseconds)
    }

    /// How a duration is written.
    public static func advice(for text: String) -> String? { "write a number and a unit: 250ms, 30s, 5m" }

    /// A number and the largest unit that keeps it whole.
    public var written: JSONValue {
        guard self != .zero else { return "0" }
        let (seconds, attoseconds) = components
        let milliseconds = seconds.multipliedReportingOverflow(by: 1000)
        guard attoseconds % 1_000_000_000_000_000 == 0, !milliseconds.overflow else { return .string("\(self)") }
        let total = milliseconds.partialValue &+ attoseconds / 1_000_000_000_000_000
        let unit = Self.units.first { $0.suffix != "ms" && total % $0.milliseconds == 0 } ?? ("ms", 1)
        return .string("\(total / unit.milliseconds)\(unit.suffix)")
    }
}
