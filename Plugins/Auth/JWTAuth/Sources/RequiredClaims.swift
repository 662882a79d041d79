internal import PatchbayPlugin

/// Claims that a token must have beside those that are always looked at.
struct RequiredClaims: Sendable {
    /// By name, the values of which it must have one; nil when any will do.
    let values: [String: [JSONValue]?]

    /// Reads the setting: a list of names, or names with a value or a list of values each.
    init(_ written: JSONValue) throws(SettingsFault) {
        var values: [String: [JSONValue]?] = [:]
        switch written {
        case .array(let names):
            for name in names {
                guard let name = name.string else { throw Self.fault }
                values[name] = .some(nil)
            }
        case .object(let members):
            for (name, value) in members {
                let allowed = if case .array(let several) = value { several } else { [value] }
                guard !allowed.isEmpty, allowed.allSatisfy(Self.isScalar) else { throw Self.fault }
                values[name] = allowed
            }
        case .null, .bool, .integer, .number, .string: throw Self.fault
        }
        self.values = values
    }

    private static var fault: SettingsFault {
        SettingsFault(
            "write the names of claims, [email, scope], or what each must say: { email_verified: true, role: [a, b] }",
            field: "required")
    }

    private static func isScalar(_ value: JSONValue) -> Bool {
        switch value {
        case .bool, .integer, .number, .string: true
        case .null, .array, .object: false
        }
    }

    /// The first by name that the claims do not have as it must be; nil where they have them all. A claim that is a list
    /// has a value when it contains it, and so has `scope`, which is a list in one text.
    func unmet(in claims: Claims) -> String? {
        values.filter { name, allowed in
            guard let value = claims.values[name], value != .null else { return true }
            guard let allowed else { return false }
            let said: [JSONValue] =
                switch value {
                case .array(let several): several
                // Words with a blank between them (RFC 8693 §4.2).
                case .string(let words) where name == "scope":
                    [value] + words.split(separator: " ").map { .string(String($0)) }
                case .null, .bool, .integer, .number, .string, .object: [value]
                }
            return !said.contains { said in allowed.contains { isSame($0, said) } }
        }.keys.min()
    }
}

/// The same value of the same type.
private func isSame(_ one: JSONValue, _ other: JSONValue) -> Bool {
    if let one = one.string, let other = other.string { return isSame(one, other) }
    return one == other
}
