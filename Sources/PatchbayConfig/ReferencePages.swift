internal import PatchbayPlugin

/// The reference of a build's settings as Markdown, a page for each kind of plugin and one for the rest of the file.
///
/// - Returns: the texts by file name, which are the same for the same build.
package func referencePages(_ catalogue: PluginCatalogue) -> [String: String] {
    var pages = ["configuration.md": configurationPage()]
    for kind in PluginKind.allCases { pages[kind.page] = page(kind, catalogue[kind] ?? []) }
    pages["README.md"] = indexPage(catalogue)
    return pages
}

private let remark = "<!-- Written by `patchbay plugins --markdown`: what is changed here is lost. -->"

extension PluginKind {
    /// The name of its page.
    fileprivate var page: String { "\(section).md" }

    /// What the section is for, as the file's own reference has it.
    fileprivate var summary: String {
        Document().fields.first { $0.name == section }?.field.summary ?? ""
    }
}

extension [PluginDescription] {
    fileprivate var inOrder: [PluginDescription] { sorted { $0.type < $1.type } }
}

// MARK: - Pages

private func indexPage(_ catalogue: PluginCatalogue) -> String {
    var lines = [
        "# Reference", "", remark, "",
        "Every setting that this build of Patchbay has, as the program itself knows it.", "",
        "- [configuration.md](configuration.md): the keys of the file, but for those of plugins",
    ]
    for kind in PluginKind.allCases {
        let types = (catalogue[kind] ?? []).inOrder.map { "[`\($0.type)`](\(kind.page)#\($0.type))" }
        lines.append(
            "- [\(kind.page)](\(kind.page)): \(kind.summary.lowercasedFirst)"
                + (types.isEmpty ? "" : ": \(types.joined(separator: ", "))"))
    }
    return text(lines)
}

private func configurationPage() -> String {
    let plugins = Dictionary(uniqueKeysWithValues: PluginKind.allCases.map { ($0.section, $0.page) })
    var sections: [[String]] = []
    var rows: [String] = []
    for named in Document().fields {
        if let page = plugins[named.name] {
            rows.append(row("[`\(named.name)`](\(page))", named.field, value: "instances by name"))
        } else if let (entry, fields) = parts(of: named) {
            rows.append(
                row(
                    "[`\(named.name)`](#\(named.name))", named.field,
                    value: named.name == "tenants" ? "tenants by name" : nil))
            sections.append(["", "## `\(named.name)`", "", "\(named.field.summary). \(entry)", ""] + table(fields))
        } else {
            rows.append(row("`\(named.name)`", named.field))
        }
    }
    let lines = ["# The configuration file", "", remark, ""] + heading + rows + sections.flatMap(\.self)
    return text(lines)
}

/// What stands below a key of the file, and how to say whose it is; nil for a key with nothing below it.
private func parts(of named: NamedField) -> (entry: String, fields: [NamedField])? {
    switch named.name {
    case "tenants": ("Each tenant, under a name of your choice, has:", TenantSettings().fields)
    case "tests": ("Each entry has:", TestCase().fields)
    default:
        named.field.nested.isEmpty
            ? nil : (named.field.step == "[]" ? "Each entry has:" : "It has:", named.field.nested)
    }
}

private func page(_ kind: PluginKind, _ plugins: [PluginDescription]) -> String {
    var lines = [
        "# `\(kind.section)`", "", remark, "",
        "\(kind.summary). Each instance, under a name of your choice, has these keys, and below them those of its plugin:",
        "",
    ]
    lines += table(kind.hostSettings.fields)
    for plugin in plugins.inOrder {
        lines += ["", "## `\(plugin.type)`", "", plugin.summary]
        if plugin.isPredeclared {
            lines[lines.count - 1] += " It needs no entry: `\(plugin.type)` names it as it is."
        }
        let fields = plugin.settings.init().fields
        lines += fields.isEmpty ? ["", "There is nothing to set."] : [""] + table(fields)
    }
    return text(lines)
}

private func text(_ lines: [String]) -> String {
    lines.joined(separator: "\n") + "\n"
}

// MARK: - Tables

private let heading = ["| key | value | default | meaning |", "|---|---|---|---|"]

private func table(_ fields: [NamedField]) -> [String] {
    heading + rows(fields, prefix: "")
}

private func rows(_ fields: [NamedField], prefix: String) -> [String] {
    fields.flatMap { named in
        let name = prefix + named.name
        return [row("`\(name)`", named.field)]
            + rows(named.field.nested, prefix: "\(name)\(named.field.step).")
    }
}

private func row(_ name: String, _ field: any AnyField, value: String? = nil) -> String {
    let usual =
        switch field.written {
        case nil: "required"
        case .null?: ""
        // What stands in it has rows of its own.
        case .object? where !field.nested.isEmpty: ""
        case let written?: field.isSecret ? "" : "`\(written.plain)`"
        }
    let cells = [name, value ?? field.value, usual, field.summary].map { $0.replacing("|", with: "\\|") }
    return "| \(cells.joined(separator: " | ")) |"
}

extension AnyField {
    /// What may be written, lists and maps with what they hold.
    fileprivate var value: String {
        guard let elementNoun, elementNoun != SettingsNode.noun else { return noun }
        return "\(noun), each \(elementNoun)"
    }
}

extension String {
    /// For the middle of a sentence.
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
