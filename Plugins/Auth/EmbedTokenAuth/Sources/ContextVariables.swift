internal import PatchbayPlugin

/// What is left of the variables a page sent along with a call: whatever is unfit is dropped or cut, nothing is
/// refused.
///
/// At most 50 variables and 8192 bytes; keys of 1 to 64 characters without white space and `. | { }`; strings are cut
/// to 2000 characters, and objects and arrays of more are dropped.
/// - Parameter order: the names, those first that win when there are too many.
func sanitized(_ variables: [String: JSONValue], order: [String]) -> [String: JSONValue] {
    var kept: [String: JSONValue] = [:]
    var size = 0
    for name in order where kept.count < 50 {
        guard let value = variables[name].flatMap(sanitizedValue), let key = sanitizedKey(name) else { continue }
        let length = key.utf8.count + value.description.utf8.count
        if size + length > 8_192 { continue }
        size += length
        kept[key] = value
    }
    return kept
}

private func sanitizedKey(_ key: String) -> String? {
    var trimmed = key.unicodeScalars[...]
    while let first = trimmed.first, isSpace(first) { trimmed.removeFirst() }
    while let last = trimmed.last, isSpace(last) { trimmed.removeLast() }
    // By scalars: a combining mark behind a full stop does not make it another character.
    let fits =
        (1...64).contains(trimmed.count) && !trimmed.contains { isSpace($0) || ".|{}".unicodeScalars.contains($0) }
    return fits && !Call.reservedVariables.contains(String(trimmed)) ? String(trimmed) : nil
}

/// As Python's `str.isspace`, which also takes the information separators for space.
private func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
}

private func sanitizedValue(_ value: JSONValue) -> JSONValue? {
    switch value {
    case .string(let text): .string(cut(text, to: 2_000))
    case .null, .bool, .integer, .number: value
    case .array, .object: value.description.unicodeScalars.count <= 2_000 ? value : nil
    }
}

/// The first `count` characters, in the sense of Unicode scalars.
func cut(_ text: String, to count: Int) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(count)))
}
