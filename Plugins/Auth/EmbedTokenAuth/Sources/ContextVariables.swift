internal import PatchbayPlugin

/// What is left of the variables a page sent along with a call: whatever is unfit is dropped or cut, nothing is
/// refused.
///
/// At most 50 variables and 8192 bytes; keys of 1 to 64 characters without white space and `. | { }`; strings are cut
/// to 2000 characters, and objects and arrays of more are dropped. Variables are taken in the order of their names.
func sanitized(_ variables: [String: JSONValue]) -> [String: JSONValue] {
    var kept: [String: JSONValue] = [:]
    var size = 0
    for (key, value) in variables.sorted(by: { $0.key < $1.key }) where kept.count < 50 {
        guard let key = sanitizedKey(key), let value = sanitizedValue(value) else { continue }
        let length = key.utf8.count + value.description.utf8.count
        if size + length > 8_192 { continue }
        size += length
        kept[key] = value
    }
    return kept
}

/// Names that the platform keeps for itself.
private let reserved: Set<String> = ["provider", "runtime_configuration", "mps_correlation_id"]

private func sanitizedKey(_ key: String) -> String? {
    var trimmed = key[...]
    while let first = trimmed.first, first.isWhitespace { trimmed.removeFirst() }
    while let last = trimmed.last, last.isWhitespace { trimmed.removeLast() }
    let fits =
        (1...64).contains(trimmed.unicodeScalars.count)
        && !trimmed.contains { $0.isWhitespace || ".|{}".contains($0) }
    return fits && !reserved.contains(String(trimmed)) ? String(trimmed) : nil
}

private func sanitizedValue(_ value: JSONValue) -> JSONValue? {
    switch value {
    case .string(let text): .string(String(String.UnicodeScalarView(text.unicodeScalars.prefix(2_000))))
    case .null, .bool, .integer, .number: value
    case .array, .object: value.description.unicodeScalars.count <= 2_000 ? value : nil
    }
}
