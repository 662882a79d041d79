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

    /// Whether the claims have them all. A claim that is a list has a value when it contains it.
    func hold(in claims: Claims) -> Bool {
        values.allSatisfy { name, allowed in
            guard let value = claims.values[name], value != .null else { return false }
            guard let allowed else { return true }
            let said = if case .array(let several) = value { several } else { [value] }
            return said.contains { said in allowed.contains { isSame($0, said) } }
        }
    }
}

/// The same value of the same type.
private func isSame(_ one: JSONValue, _ other: JSONValue) -> Bool {
    if let one = one.string, let other = other.string { return isSame(one, other) }
    return one == other
}
