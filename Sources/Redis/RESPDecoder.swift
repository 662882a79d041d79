/// Makes replies of bytes, in whatever pieces they come: RESP2, and RESP3 but for streamed replies.
///
/// A server that lies costs no more than the limits say: nothing is set aside for what is only announced.
package struct RESPDecoder: Sendable {
    /// What one reply may have.
    package struct Limits: Sendable {
        /// Arrays within arrays.
        package var depth = 16
        /// All of it, in bytes.
        package var size = 8 << 20
        /// All of them, at every depth.
        package var elements = 1 << 16

        package init() {}
    }

    /// An array, or what is told as one, whose elements are still coming.
    private struct Opened {
        var type: UInt8
        /// How many elements are to come.
        var missing: Int
        var elements: [RESPValue] = []
    }

    private enum Item {
        case value(RESPValue)
        /// Its elements follow.
        case opened(Opened)
        /// Nothing that anybody asked for.
        case passedOver
    }

    private let limits: Limits
    private var buffer: [UInt8] = []
    /// Where the next item begins.
    private var position = 0
    /// How far its line was looked through.
    private var scanned = 0
    /// A text whose length was read: its type, and how many bytes it has.
    private var announced: (type: UInt8, length: Int)?
    private var opened: [Opened] = []
    /// Of the reply that is being read.
    private var size = 0
    private var elements = 0
    private var failure: RESPError?

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Takes what has come.
    package mutating func append(_ bytes: some Collection<UInt8>) {
        buffer.append(contentsOf: bytes)
    }

    /// The next reply, or nil while it is not there as a whole.
    ///
    /// - Throws: the same error for ever; what comes after it cannot be understood.
    package mutating func next() throws(RESPError) -> RESPValue? {
        if let failure { throw failure }
        do throws(RESPError) {
            defer { dropRead() }
            return try reply()
        } catch {
            failure = error
            buffer = []
            opened = []
            throw error
        }
    }

    private mutating func reply() throws(RESPError) -> RESPValue? {
        while let item = try item() {
            switch item {
            case .passedOver: continue
            case .opened(let new):
                guard opened.count < limits.depth else { throw .tooDeep(limit: limits.depth) }
                opened.append(new)
            case .value(let value):
                guard let whole = close(with: value) else { continue }
                (size, elements) = (0, 0)
                return whole
            }
        }
        return nil
    }

    /// Puts a value where it belongs, and everything that it completes. The reply, when that is complete.
    private mutating func close(with value: RESPValue) -> RESPValue? {
        var value = value
        while var parent = opened.popLast() {
            parent.elements.append(value)
            parent.missing -= 1
            guard parent.missing == 0 else {
                opened.append(parent)
                return nil
            }
            switch parent.type {
            // Attributes are no element: what they are about follows.
            case .attribute: return nil
            case .push: value = .push(parent.elements)
            default: value = .array(parent.elements)
            }
        }
        return value
    }

    /// Forgets what was read, where it is worth the trouble.
    private mutating func dropRead() {
        guard position == buffer.count || position > 1 << 16 else { return }
        buffer.removeSubrange(..<min(position, buffer.count))
        scanned = max(0, scanned - position)
        position = 0
    }
}

/// The pieces.
extension RESPDecoder {
    private mutating func item() throws(RESPError) -> Item? {
        if let announced { return try text(announced.type, length: announced.length) }
        guard let line = try line() else { return nil }
        elements += 1
        guard elements <= limits.elements else { throw .tooManyElements(limit: limits.elements) }
        guard let type = line.first else { throw .unknownType(nil) }
        let rest = line.dropFirst()
        switch type {
        case UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: "("): return .value(.string(Array(rest)))
        case UInt8(ascii: "-"): return .value(.error(String(decoding: rest, as: UTF8.self)))
        case UInt8(ascii: ":"):
            guard let number = decimal(rest) else { throw .badNumber }
            return .value(.integer(number))
        case UInt8(ascii: "#"):
            switch (rest.first, rest.count) {
            case (UInt8(ascii: "t"), 1): return .value(.integer(1))
            case (UInt8(ascii: "f"), 1): return .value(.integer(0))
            default: throw .badNumber
            }
        case UInt8(ascii: "_"): return .value(.null)
        case .blob, UInt8(ascii: "="), UInt8(ascii: "!"):
            guard let length = try length(rest, mayBeNull: type == .blob) else { return .value(.null) }
            guard length <= limits.size - size else { throw .tooLong(limit: limits.size) }
            return try text(type, length: length)
        case .list, .map, .set, .push, .attribute:
            guard var count = try length(rest, mayBeNull: type == .list) else { return .value(.null) }
            guard count <= limits.elements - elements else { throw .tooManyElements(limit: limits.elements) }
            if type == .map || type == .attribute { count *= 2 }
            guard type != .push || opened.isEmpty else { throw .unknownType(type) }
            guard count > 0 else {
                return type == .attribute ? .passedOver : .value(type == .push ? .push([]) : .array([]))
            }
            return .opened(Opened(type: type, missing: count))
        default: throw .unknownType(type)
        }
    }

    /// Text whose length was announced, once all of it is there.
    private mutating func text(_ type: UInt8, length: Int) throws(RESPError) -> Item? {
        guard buffer.count - position >= length + 2 else {
            announced = (type, length)
            return nil
        }
        announced = nil
        let bytes = buffer[position..<position + length]
        guard buffer[position + length] == .carriageReturn, buffer[position + length + 1] == .lineFeed else {
            throw .badLength
        }
        try read(length + 2)
        switch type {
        case UInt8(ascii: "!"): return .value(.error(String(decoding: bytes, as: UTF8.self)))
        // What kind of text it is stands before it, as in `txt:`.
        case UInt8(ascii: "="):
            guard bytes.count >= 4 else { throw .badLength }
            return .value(.string(Array(bytes.dropFirst(4))))
        default: return .value(.string(Array(bytes)))
        }
    }

    /// A line without its end, once that is there.
    private mutating func line() throws(RESPError) -> ArraySlice<UInt8>? {
        while scanned + 1 < buffer.count {
            guard buffer[scanned] != .lineFeed else { throw .badLine }
            if buffer[scanned] == .carriageReturn {
                guard buffer[scanned + 1] == .lineFeed else { throw .badLine }
                let line = buffer[position..<scanned]
                try read(line.count + 2)
                return line
            }
            scanned += 1
        }
        guard buffer.count - position <= limits.size - size else { throw .tooLong(limit: limits.size) }
        return nil
    }

    private mutating func read(_ count: Int) throws(RESPError) {
        guard count <= limits.size - size else { throw .tooLong(limit: limits.size) }
        size += count
        position += count
        scanned = position
    }

    /// - Returns: nil for -1, which was how RESP2 wrote null.
    private func length(_ digits: ArraySlice<UInt8>, mayBeNull: Bool) throws(RESPError) -> Int? {
        guard let number = decimal(digits).flatMap(Int.init(exactly:)) else { throw .badNumber }
        if number == -1, mayBeNull { return nil }
        guard number >= 0 else { throw .badNumber }
        return number
    }

    private func decimal(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.count <= 20, digits.allSatisfy({ $0 < 0x80 }) else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }
}

extension UInt8 {
    fileprivate static let carriageReturn = UInt8(ascii: "\r")
    fileprivate static let lineFeed = UInt8(ascii: "\n")
    fileprivate static let blob = UInt8(ascii: "$")
    fileprivate static let list = UInt8(ascii: "*")
    fileprivate static let map = UInt8(ascii: "%")
    fileprivate static let set = UInt8(ascii: "~")
    fileprivate static let push = UInt8(ascii: ">")
    fileprivate static let attribute = UInt8(ascii: "|")
}
