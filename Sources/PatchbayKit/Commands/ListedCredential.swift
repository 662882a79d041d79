import PatchbayPlugin

/// A credential, and the auth instance that knows it.
struct ListedCredential {
    var instance: String
    var type: String
    var credential: KnownCredential

    /// As programs read it. What there is not is null.
    var json: JSONValue {
        func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
        func number(_ number: Int?) -> JSONValue { number.map(JSONValue.integer) ?? .null }
        let members: [String: JSONValue] = [
            "type": text(type), "instance": text(instance), "name": text(credential.name), "id": text(credential.id),
            "source": text(credential.store == nil ? "configuration" : "store"), "store": text(credential.store),
            "user": text(credential.user), "organization": text(credential.organization),
            "workflow": number(credential.workflowID), "expires": text(expires), "active": .bool(credential.isActive),
            "uses": number(credential.uses), "usage_limit": number(credential.usageLimit),
            "fault": text(credential.fault),
        ]
        return .object(members)
    }

    /// Columns as wide as what stands in them, but for the last; an empty one is `-`. What is longer than any name is cut.
    static func table(_ credentials: [ListedCredential], now: Duration) -> String {
        // Others may have written what stands in a store.
        let rows =
            [heading]
            + credentials.map { each in
                each.columns(at: now).map { $0.isEmpty ? "-" : $0.oneLine(atMost: 256) }
            }
        let widths = heading.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let padded = zip(row.dropLast(), widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return (padded + row.suffix(1)).joined(separator: "  ")
        }
        return lines.joined(separator: "\n")
    }

    private static let heading = [
        "TYPE", "INSTANCE", "IN", "USER", "ORGANISATION", "WORKFLOW", "EXPIRES", "USES", "ID", "NAME", "STATE",
    ]

    private func columns(at now: Duration) -> [String] {
        let place = credential.store.map { "store \($0)" } ?? "configuration"
        let workflow = credential.workflowID.map { "\($0)" } ?? ""
        let (user, organization) = (credential.user ?? "", credential.organization ?? "")
        let (id, name) = (credential.id ?? "", credential.name ?? "")
        return [
            type, instance, place, user, organization, workflow, expires ?? "", uses, id, name, state(at: now),
        ]
    }

    private var expires: String? { credential.expires.flatMap { Timestamp(sinceEpoch: $0).written.string } }

    private var uses: String {
        let limit = credential.usageLimit.map { " of \($0)" } ?? ""
        guard let uses = credential.uses else { return limit.isEmpty ? "" : "?\(limit)" }
        return "\(uses)\(limit)"
    }

    /// Whether it is good, in words.
    private func state(at now: Duration) -> String {
        if let fault = credential.fault { return "faulty: \(fault)" }
        if !credential.isActive { return "inactive" }
        if let expires = credential.expires, expires <= now { return "expired" }
        if let limit = credential.usageLimit, let uses = credential.uses, uses >= limit { return "used up" }
        return "good"
    }
}
