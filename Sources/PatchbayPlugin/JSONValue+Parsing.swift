/// What is wrong with a text that should be JSON.
public enum JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text breaks the grammar, or is not UTF-8, at this byte.
    case syntax(offset: Int)
    /// Lists and objects are nested deeper than the limit.
    case depth(limit: Int)
    /// An object has this name twice.
    case duplicate(name: String)
    /// The number at this byte is greater than a `Double` holds.
    case range(offset: Int)
    /// The string at this byte has more than 30 combining characters in a row.
    case combining(offset: Int)

    /// What it is, and where.
    public var description: String {
        switch self {
        case .syntax(let offset): "invalid JSON at byte \(offset) (RFC 8259)"
        case .depth(let limit): "JSON nested deeper than \(limit)"
        case .duplicate(let name): "JSON object has \"\(name.prefix(32))\" twice (RFC 8259 §4)"
        case .range(let offset): "JSON number at byte \(offset) is out of range (RFC 8259 §6)"
        case .combining(let offset):
            "JSON string at byte \(offset) has over 30 combining characters in a row (UAX #15 §13)"
        }
    }
}

extension JSONValue {
    /// Reads one JSON text (RFC 8259), also from somebody we do not know: in one pass, in time proportional to its
    /// length.
    ///
    /// A name that comes twice in an object is refused: two readers would not agree on it. So is a string that is not
    /// Stream-Safe Text: to hash or compare it would take time that grows with the square of its length.
    /// - Parameters:
    ///   - maximumDepth: how deep lists and objects may nest.
    ///   - onMember: told each object's members in the order of the text, before their values: how deep the object is, the
    ///     outermost being 1, and the name.
    public init(
        parsing text: [UInt8], maximumDepth: Int = 16, onMember: ((_ depth: Int, _ name: String) -> Void)? = nil
    ) throws(JSONError) {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: text.span)
        } catch {
            throw .syntax(offset: error.byteOffsets.lowerBound)
        }
        var parser = JSONParser(bytes: text, maximumDepth: maximumDepth, onMember: onMember)
        self = try parser.parseDocument()
    }

    /// The same of a string.
    public init(parsing text: String, maximumDepth: Int = 16) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), maximumDepth: maximumDepth)
    }
}

/// Reads RFC 8259 in bytes that are UTF-8, recursion bounded by `maximumDepth`.
private struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private let onMember: ((_ depth: Int, _ name: String) -> Void)?
    private var offset = 0
    private var depth = 0

    init(bytes: [UInt8], maximumDepth: Int, onMember: ((_ depth: Int, _ name: String) -> Void)?) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
        self.onMember = onMember
    }

    mutating func parseDocument() throws(JSONError) -> JSONValue {
        let value = try parseValue()
        skipSpace()
        guard offset == bytes.count else { throw .syntax(offset: offset) }
        return value
    }

    private var next: UInt8? {
        offset < bytes.count ? bytes[offset] : nil
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { offset += 1 }
    }

    /// Skips space, then takes the character if it is the one asked for.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func parseValue() throws(JSONError) -> JSONValue {
        skipSpace()
        switch next.map({ Unicode.Scalar($0) }) {
        case "{": return try parseObject()
        case "[": return try parseArray()
        case "\"": return .string(try parseString())
        case "t": return try parseWord("true", .bool(true))
        case "f": return try parseWord("false", .bool(false))
        case "n": return try parseWord("null", .null)
        default: return try parseNumber()
        }
    }

    private mutating func parseWord(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[offset...].starts(with: word.utf8) else { throw .syntax(offset: offset) }
        offset += word.utf8.count
        return value
    }

    private mutating func descend() throws(JSONError) {
        offset += 1
        depth += 1
        guard depth <= maximumDepth else { throw .depth(limit: maximumDepth) }
    }

    private mutating func parseArray() throws(JSONError) -> JSONValue {
        try descend()
        var values: [JSONValue] = []
        if !take("]") {
            repeat { values.append(try parseValue()) } while take(",")
            guard take("]") else { throw .syntax(offset: offset) }
        }
        depth -= 1
        return .array(values)
    }

    private mutating func parseObject() throws(JSONError) -> JSONValue {
        try descend()
        var members: [String: JSONValue] = [:]
        if !take("}") {
            repeat {
                skipSpace()
                guard next == UInt8(ascii: "\"") else { throw .syntax(offset: offset) }
                let name = try parseString()
                guard take(":") else { throw .syntax(offset: offset) }
                onMember?(depth, name)
                let value = try parseValue()
                guard members.updateValue(value, forKey: name) == nil else { throw .duplicate(name: name) }
            } while take(",")
            guard take("}") else { throw .syntax(offset: offset) }
        }
        depth -= 1
        return .object(members)
    }
}

/// Strings and numbers, RFC 8259 §6 and §7.
extension JSONParser {
    /// At the opening quote.
    private mutating func parseString() throws(JSONError) -> String {
        let opening = offset
        offset += 1
        var text: [UInt8] = []
        while let byte = next {
            let start = offset
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                let string = String(decoding: text, as: UTF8.self)
                guard string.isStreamSafe else { throw .combining(offset: opening) }
                return string
            case UInt8(ascii: "\\"):
                guard let scalar = parseEscape() else { throw .syntax(offset: start) }
                text.append(contentsOf: String(scalar).utf8)
            case 0..<0x20: throw .syntax(offset: start)
            default: text.append(byte)
            }
        }
        throw .syntax(offset: offset)
    }

    /// After the backslash. Half a surrogate pair is refused: it has no UTF-8 form.
    private mutating func parseEscape() -> Unicode.Scalar? {
        guard let byte = next else { return nil }
        offset += 1
        switch Unicode.Scalar(byte) {
        case "\"", "\\", "/": return Unicode.Scalar(byte)
        case "b": return "\u{08}"
        case "f": return "\u{0C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            guard let unit = parseHex() else { return nil }
            guard unit & 0xFC00 == 0xD800 else { return Unicode.Scalar(unit) }
            guard bytes[offset...].starts(with: "\\u".utf8) else { return nil }
            offset += 2
            guard let low = parseHex(), low & 0xFC00 == 0xDC00 else { return nil }
            return Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF))
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

    private mutating func parseNumber() throws(JSONError) -> JSONValue {
        let start = offset
        if next == UInt8(ascii: "-") { offset += 1 }
        let whole = offset
        guard takeDigits(), bytes[whole] != UInt8(ascii: "0") || offset == whole + 1 else {
            throw .syntax(offset: offset)
        }
        if next == UInt8(ascii: ".") {
            offset += 1
            guard takeDigits() else { throw .syntax(offset: offset) }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            guard takeDigits() else { throw .syntax(offset: offset) }
        }
        let digits = String(decoding: bytes[start..<offset], as: UTF8.self)
        if let integer = Int(digits) { return .integer(integer) }
        guard let number = Double(digits), number.isFinite else { throw .range(offset: start) }
        return .number(number)
    }

    /// One digit or more.
    private mutating func takeDigits() -> Bool {
        let start = offset
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        return offset > start
    }
}
