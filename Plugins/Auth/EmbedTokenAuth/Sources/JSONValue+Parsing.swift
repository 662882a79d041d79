internal import PatchbayPlugin

extension JSONValue {
    /// Reads one JSON text (RFC 8259) from somebody we do not know, in one pass and in time proportional to its length.
    ///
    /// Nil when it breaks the grammar, nests deeper than 16 levels, has a name twice in an object, or a number that a
    /// `Double` cannot hold.
    init?(parsing text: [UInt8]) {
        guard String(validating: text, as: UTF8.self) != nil else { return nil }
        var parser = JSONParser(bytes: text)
        guard let value = parser.parseValue(depth: 16), parser.isAtEnd else { return nil }
        self = value
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var offset = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var next: UInt8? {
        offset < bytes.count ? bytes[offset] : nil
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return next == nil
        }
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { offset += 1 }
    }

    /// Skips space, then takes `character` if it comes next.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    mutating func parseValue(depth: Int) -> JSONValue? {
        if take("{") { return depth > 0 ? parseObject(depth: depth - 1) : .none }
        if take("[") { return depth > 0 ? parseArray(depth: depth - 1) : .none }
        if take("\"") { return parseString().map(JSONValue.string) }
        for (word, value) in [("true", .bool(true)), ("false", .bool(false)), ("null", .null)] as [(String, JSONValue)]
        where bytes[offset...].starts(with: word.utf8) {
            offset += word.utf8.count
            return value
        }
        return parseNumber()
    }

    private mutating func parseArray(depth: Int) -> JSONValue? {
        var values: [JSONValue] = []
        if take("]") { return .array(values) }
        repeat {
            guard let value = parseValue(depth: depth) else { return .none }
            values.append(value)
        } while take(",")
        return take("]") ? .array(values) : .none
    }

    private mutating func parseObject(depth: Int) -> JSONValue? {
        var members: [String: JSONValue] = [:]
        if take("}") { return .object(members) }
        repeat {
            guard take("\""), let name = parseString(), take(":"), let value = parseValue(depth: depth),
                members.updateValue(value, forKey: name) == .none
            else { return .none }
        } while take(",")
        return take("}") ? .object(members) : .none
    }

    /// What follows an opening quote.
    private mutating func parseString() -> String? {
        var text: [UInt8] = []
        while let byte = next, byte >= 0x20 {
            offset += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
            if byte == UInt8(ascii: "\\") {
                guard let scalar = parseEscape() else { return nil }
                text += Array(String(Character(scalar)).utf8)
            } else {
                text.append(byte)
            }
        }
        return nil
    }

    /// What follows a backslash. Half a surrogate pair is refused: it has no UTF-8 form.
    private mutating func parseEscape() -> Unicode.Scalar? {
        guard let byte = next else { return nil }
        offset += 1
        switch Unicode.Scalar(byte) {
        case "\"", "\\", "/": return Unicode.Scalar(byte)
        case "b": return "\u{08}"
        case "f": return "\u{0c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            guard let unit = parseHex() else { return nil }
            guard unit & 0xfc00 == 0xd800 else { return Unicode.Scalar(unit) }
            guard bytes[offset...].starts(with: "\\u".utf8) else { return nil }
            offset += 2
            guard let low = parseHex(), low & 0xfc00 == 0xdc00 else { return nil }
            return Unicode.Scalar(0x10000 + (unit & 0x3ff) << 10 + (low & 0x3ff))
        default: return nil
        }
    }

    private mutating func parseHex() -> UInt32? {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }

    private mutating func parseNumber() -> JSONValue? {
        let start = offset
        if next == UInt8(ascii: "-") { offset += 1 }
        let whole = offset
        guard takeDigits(), bytes[whole] != UInt8(ascii: "0") || offset == whole + 1 else { return .none }
        if next == UInt8(ascii: ".") {
            offset += 1
            guard takeDigits() else { return .none }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            guard takeDigits() else { return .none }
        }
        let digits = String(decoding: bytes[start..<offset], as: UTF8.self)
        if let integer = Int(digits) { return .integer(integer) }
        return Double(digits).flatMap { $0.isFinite ? .number($0) : .none }
    }

    /// One digit or more.
    private mutating func takeDigits() -> Bool {
        let start = offset
        while let byte = next, (0x30...0x39).contains(byte) { offset += 1 }
        return offset > start
    }
}
