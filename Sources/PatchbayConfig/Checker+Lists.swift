internal import PatchbayPlugin

extension Checker {
    /// A tenant's entry. Where it has something else in the place of a list of names, that is told, with what to write
    /// instead, and the reader passes over it.
    func withLists(_ tenant: SettingsNode) -> SettingsNode {
        guard case .map(var entries) = tenant.content else { return tenant }
        for index in entries.indices {
            let entry = entries[index]
            guard let kind = [PluginKind.auth, .quota].first(where: { $0.section == entry.name }),
                let advice = advice(kind, insteadOf: entry.value)
            else { continue }
            reader.mismatch(at: entry.value, expected: "a list", advice: advice)
            entries[index].value.content = .invalid
        }
        var tenant = tenant
        tenant.content = .map(entries)
        return tenant
    }

    /// nil where it is a list, or the reader's own advice is as good.
    private func advice(_ kind: PluginKind, insteadOf node: SettingsNode) -> String? {
        switch node.content {
        case .map(let entries):
            // With a type in it, it is an instance without a name.
            let isInstance = entries.contains { $0.name == "type" }
            let names = isInstance ? [] : entries.map { printable($0.name) }
            let list = names.isEmpty ? "NAME" : names.joined(separator: ", ")
            return "instances are declared under `\(kind.section)` in \(file); name them here: [\(list)]"
        case .scalar(let scalar):
            let names = scalar.text.split { $0 == "," || $0 == " " }.map(String.init)
            guard names.contains(where: { declared[kind]?.contains($0) == true }) else { return nil }
            return "write [\(names.map(printable).joined(separator: ", "))]"
        case .list, .invalid: return nil
        }
    }
}
