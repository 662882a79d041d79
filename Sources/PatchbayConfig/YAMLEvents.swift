internal import CYAML
internal import PatchbayPlugin

/// What libyaml's parser says, one step at a time, copied out of its memory.
struct YAMLEvent {
    enum Kind {
        case scalar(text: String, isPlain: Bool)
        case sequenceStart, mappingStart, collectionEnd
        case alias
        case documentStart, documentEnd
    }

    var kind: Kind
    var range: SourceRange
    /// `&name`
    var anchor: String?
    /// `!name`
    var tag: String?
}

/// Why a text is not YAML.
struct YAMLSyntaxError {
    var line: Int
    var column: Int
    var message: String
    var help: String?
}

/// Parses `text` until its end, its first syntax error, or the first collection that nests deeper than `maximumDepth`.
func yamlEvents(_ text: String, maximumDepth: Int) -> (events: [YAMLEvent], error: YAMLSyntaxError?) {
    // libyaml asserts that there is an input.
    let bytes = text.isEmpty ? [UInt8(ascii: "\n")] : Array(text.utf8)
    var events: [YAMLEvent] = []
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { unsafe parser.deallocate() }
    guard unsafe yaml_parser_initialize(parser) == 1 else {
        return ([], YAMLSyntaxError(line: 0, column: 0, message: "no memory for the parser"))
    }
    defer { unsafe yaml_parser_delete(parser) }

    // The parser reads from `bytes` during all of this call.
    let error: YAMLSyntaxError? = unsafe bytes.withUnsafeBufferPointer { buffer in
        unsafe yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        var depth = 0
        while true {
            var event = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(parser, &event) == 1 else {
                return unsafe syntaxError(parser.pointee, bytes)
            }
            defer { unsafe yaml_event_delete(&event) }
            if unsafe event.type == YAML_STREAM_END_EVENT { return nil }
            guard let copy = unsafe YAMLEvent(event) else { continue }
            events.append(copy)
            switch copy.kind {
            case .sequenceStart, .mappingStart: depth += 1
            case .collectionEnd: depth -= 1
            case .scalar, .alias, .documentStart, .documentEnd: break
            }
            if depth > maximumDepth {
                let message = "more than \(maximumDepth) levels of lists and maps"
                return YAMLSyntaxError(line: copy.range.line, column: copy.range.column, message: message)
            }
        }
    }
    return (events, error)
}

extension YAMLEvent {
    /// nil for the start of the stream, which says nothing.
    fileprivate init?(_ event: yaml_event_t) {
        let (start, end) = unsafe (event.start_mark, event.end_mark)
        range = SourceRange(
            line: Int(start.line), column: Int(start.column), endLine: Int(end.line), endColumn: Int(end.column))
        switch unsafe event.type {
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            let text = unsafe String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            kind = unsafe .scalar(text: text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
            (anchor, tag) = unsafe (string(scalar.anchor), string(scalar.tag))
        case YAML_SEQUENCE_START_EVENT:
            kind = .sequenceStart
            (anchor, tag) = unsafe (string(event.data.sequence_start.anchor), string(event.data.sequence_start.tag))
        case YAML_MAPPING_START_EVENT:
            kind = .mappingStart
            (anchor, tag) = unsafe (string(event.data.mapping_start.anchor), string(event.data.mapping_start.tag))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: kind = .collectionEnd
        case YAML_ALIAS_EVENT: kind = .alias
        case YAML_DOCUMENT_START_EVENT: kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: kind = .documentEnd
        default: return nil
        }
    }
}

private func string(_ text: UnsafeMutablePointer<yaml_char_t>?) -> String? {
    unsafe text.map { unsafe String(cString: $0) }
}

private func syntaxError(_ parser: yaml_parser_t, _ bytes: [UInt8]) -> YAMLSyntaxError {
    let problem = unsafe parser.problem.map { unsafe String(cString: $0) } ?? "not YAML"
    guard unsafe parser.error != YAML_READER_ERROR else {
        // The reader is ahead of the marks; it says which byte it stumbled over.
        let before = unsafe bytes.prefix(parser.problem_offset)
        let lines = sourceLines(String(decoding: before, as: UTF8.self))
        return YAMLSyntaxError(line: lines.count - 1, column: lines.last?.count ?? 0, message: problem)
    }
    let (mark, start) = unsafe (parser.problem_mark, parser.context_mark)
    guard let context = unsafe parser.context.map({ unsafe String(cString: $0) }) else {
        return YAMLSyntaxError(line: Int(mark.line), column: Int(mark.column), message: problem)
    }
    // A key without its colon is found out only behind it.
    let place = context.hasSuffix("a simple key") ? start : mark
    let help = place.line == start.line ? nil : "it begins in line \(start.line + 1)"
    return YAMLSyntaxError(
        line: Int(place.line), column: Int(place.column), message: "\(problem) \(context)", help: help)
}
