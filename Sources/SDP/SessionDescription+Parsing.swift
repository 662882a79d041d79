extension SessionDescription {
    /// Reads a description in one pass; lines may end in CRLF or LF, and empty lines at the end are passed over.
    ///
    /// - Throws: `SDPError` when a bound is exceeded, or a line is not of the form that RFC 8866 §5 gives it.
    package init(parsing text: String) throws(SDPError) {
        let bytes = Array(text.utf8.prefix(Self.maximumLength + 1))
        guard bytes.count <= Self.maximumLength else {
            throw SDPError(.tooLong(bytes: text.utf8.count))
        }
        var (start, number, sawEmptyLine) = (0, 0, false)
        while start < bytes.count {
            let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            var line = bytes[start..<newline]
            if line.last == UInt8(ascii: "\r") {
                line.removeLast()
            }
            start = newline + 1
            number += 1
            guard number <= Self.maximumLines else { throw SDPError(.tooManyLines, line: number) }
            guard !line.isEmpty else {
                sawEmptyLine = true
                continue
            }
            guard !sawEmptyLine else { throw SDPError(.malformedLine, line: number - 1) }
            try append(line, number: number)
        }
        guard number > 0 else { throw SDPError(.noVersion) }
    }

    private mutating func append(_ line: ArraySlice<UInt8>, number: Int) throws(SDPError) {
        guard line.count <= Self.maximumLineLength else {
            throw SDPError(.lineTooLong(bytes: line.count), line: number)
        }
        guard !line.contains(where: { ($0 < 0x20 && $0 != 9) || $0 == 0x7f }) else {
            throw SDPError(.controlCharacter, line: number)
        }
        guard let type = line.first, line.dropFirst().first == UInt8(ascii: "="),
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(type)
        else { throw SDPError(.malformedLine, line: number) }
        let value = String(decoding: line.dropFirst(2), as: UTF8.self)
        if lines.isEmpty {
            guard type == UInt8(ascii: "v"), value == "0" else { throw SDPError(.noVersion, line: number) }
        }
        switch type {
        case UInt8(ascii: "m"):
            guard media.count < Self.maximumMediaSections else {
                throw SDPError(.tooManyMediaSections, line: number)
            }
            media.append(try Media(parsing: value, line: number))
        case UInt8(ascii: "a"):
            let attribute = try Attribute(parsing: value, line: number)
            if media.isEmpty {
                attributes.append(attribute)
            } else {
                media[media.count - 1].attributes.append(attribute)
            }
        default:
            if media.isEmpty {
                lines.append(Line(type: type, value: value))
            } else {
                media[media.count - 1].lines.append(Line(type: type, value: value))
            }
        }
    }
}

extension SessionDescription.Attribute {
    fileprivate init(parsing text: String, line: Int) throws(SDPError) {
        let utf8 = text.utf8
        let colon = utf8.firstIndex(of: UInt8(ascii: ":"))
        name = String(text[..<(colon ?? utf8.endIndex)])
        value = colon.map { String(text[utf8.index(after: $0)...]) }
        self.line = line
        guard name.isToken(upTo: 64) else { throw SDPError(.malformedLine, line: line) }
    }
}

extension SessionDescription.Media {
    fileprivate init(parsing text: String, line: Int) throws(SDPError) {
        let words = text.words
        guard words.count >= 4 else { throw SDPError(.malformedMedia, line: line) }
        guard words.count - 3 <= SessionDescription.maximumFormats else {
            throw SDPError(.tooManyFormats, line: line)
        }
        let ports = words[1].utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard words[0].isToken(upTo: 32), let port = ports.first.flatMap({ Substring($0).decimal(UInt16.self) }),
            ports.count <= 2, words[2].isProtocol, words.dropFirst(3).allSatisfy({ $0.isToken(upTo: 32) })
        else { throw SDPError(.malformedMedia, line: line) }
        media = String(words[0])
        self.port = port
        if ports.count == 2 {
            guard let count = Substring(ports[1]).decimal(UInt16.self) else {
                throw SDPError(.malformedMedia, line: line)
            }
            portCount = count
        }
        proto = String(words[2])
        formats = words.dropFirst(3).map(String.init)
        self.line = line
    }
}
