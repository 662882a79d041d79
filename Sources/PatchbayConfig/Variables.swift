/// Why the variables in a scalar cannot be expanded.
enum VariableError: Error, CustomStringConvertible {
    case unset(String)
    case unterminated
    case badName

    var description: String {
        switch self {
        case .unset(let name): "the environment variable '\(name)' is not set"
        case .unterminated: "'${' without '}'"
        case .badName: "'${' is not followed by the name of a variable"
        }
    }

    var isUnset: Bool {
        if case .unset = self { true } else { false }
    }

    var help: String? {
        switch self {
        case .unset(let name): "set it, or give it a default: ${\(name):-value}"
        case .unterminated, .badName: "write ${NAME} or ${NAME:-default}; $$ stands for one $"
        }
    }
}

/// Replaces `${NAME}`, `${NAME:-default}` (when unset or empty) and `$$`. The result is not looked at again.
func expandVariables(_ text: String, _ environment: [String: String]) throws(VariableError) -> String {
    guard text.contains("$") else { return text }
    var result = ""
    var rest = text[...]
    while let dollar = rest.firstIndex(of: "$") {
        result += rest[..<dollar]
        rest = rest[dollar...].dropFirst()
        if rest.first == "$" {
            result += "$"
            rest = rest.dropFirst()
        } else if rest.first == "{" {
            guard let end = rest.firstIndex(of: "}") else { throw .unterminated }
            result += try variable(rest[..<end].dropFirst(), environment)
            rest = rest[end...].dropFirst()
        } else {
            result += "$"
        }
    }
    return result + rest
}

private func variable(_ expression: Substring, _ environment: [String: String]) throws(VariableError) -> String {
    let name = expression.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    let rest = expression.dropFirst(name.count)
    guard !name.isEmpty, rest.isEmpty || rest.hasPrefix(":-") else { throw .badName }
    let value = environment[String(name)]
    if rest.isEmpty {
        guard let value else { throw .unset(String(name)) }
        return value
    }
    return value.flatMap { $0.isEmpty ? nil : $0 } ?? String(rest.dropFirst(2))
}
