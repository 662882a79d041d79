/// Reads a configuration's nodes and keeps all faults, so that they print together.
public final class SettingsReader {
    /// Environment variables, for secrets.
    package let environment: [String: String]
    /// The configuration file's folder, which relative paths start from; empty for the working directory.
    package let folder: String
    /// The bytes of a file; an error describes itself.
    package let readFile: (String) throws -> [UInt8]
    package private(set) var problems: [SettingsProblem] = []
    /// The stores that were named, in the order they were read.
    package private(set) var storeReferences: [SettingsNode] = []
    /// What the settings read so far take from outside the configuration, in the order they were read.
    package private(set) var outside: [Outside] = []
    /// Scalars that are known not to be secrets; no other may be shown.
    package private(set) var shown: Set<SourceRange> = []

    package init(
        environment: [String: String], folder: String = "", readFile: @escaping (String) throws -> [UInt8]
    ) {
        self.environment = environment
        self.folder = folder
        self.readFile = readFile
    }

    /// Reports what is wrong with `node`.
    public func fault(at node: SettingsNode, _ message: String, help: String? = nil) {
        if case .invalid = node.content { return }
        report(SettingsProblem(range: node.range, path: node.path, message: message, help: help))
    }

    /// The text of a scalar; nil, after a fault, when there is none, or a URL with a key written out among its parameters.
    /// It may be shown from then on, unless a user or a password stands in it, as in a URL.
    public func text(of node: SettingsNode, expected noun: String) -> String? {
        guard let text = hiddenText(of: node, expected: noun), !refusesCredential(inURL: node) else { return nil }
        show(node)
        return text
    }

    /// The text of a scalar that is not to be shown; nil, after a fault, when there is none.
    package func hiddenText(of node: SettingsNode, expected noun: String) -> String? {
        guard case .scalar(let scalar) = node.content, !node.isEmpty else {
            mismatch(at: node, expected: noun)
            return nil
        }
        // What says so in a template, or to an editor, means that nothing is written here (YAML 1.2, 10.2.1.1).
        if scalar.isPlain, ["~", "null", "Null", "NULL"].contains(scalar.source) {
            mismatch(at: node, expected: noun, advice: "leave the key out, or put it in quotes where the word is meant")
            return nil
        }
        return scalar.text
    }

    package func report(_ problem: SettingsProblem) {
        problems.append(problem)
    }

    /// Lets faults show what stands there, lists and maps with all they hold. A URL with a secret in it stays hidden, and
    /// what is one by the name of its key.
    package func show(_ node: SettingsNode) {
        switch node.content {
        case .scalar(let scalar): if secrets(inURL: scalar.source).isEmpty { shown.insert(node.range) }
        case .list(let nodes): for node in nodes { show(node) }
        case .map(let entries): for entry in entries where !namesCredential(entry.name) { show(entry.value) }
        case .invalid: break
        }
    }

    /// A path from the configuration, made absolute or relative to the working directory.
    package func resolve(_ path: String) -> String {
        path.hasPrefix("/") || folder.isEmpty ? path : "\(folder)/\(path)"
    }

    /// Something outside the configuration that settings depend on.
    package enum Outside: Sendable {
        case secret(Secret)
        /// The path of a file that a plugin reads.
        case file(String)

        package var isSecret: Bool {
            if case .secret = self { true } else { false }
        }
    }

    package func note(_ outside: Outside) {
        self.outside.append(outside)
    }

    package func noteStore(_ node: SettingsNode) {
        storeReferences.append(node)
    }

    package func mismatch(at node: SettingsNode, expected noun: String, advice: String? = nil, isSecret: Bool = false) {
        let found: String
        switch node.content {
        case .scalar(let scalar):
            if !isSecret { show(node) }
            found = node.isEmpty ? "nothing" : isSecret ? "text" : "'\(printable(scalar.source))'"
        case .list: found = "a list"
        case .map: found = "keys and values"
        case .invalid: return
        }
        fault(at: node, "expected \(noun), found \(found)", help: advice)
    }

    package func list(of node: SettingsNode, isSecret: Bool) -> [SettingsNode]? {
        if node.isEmpty { return [] }
        guard case .list(let nodes) = node.content else {
            let advice = "write [one, two], or a line '- one' for each"
            mismatch(at: node, expected: "a list", advice: advice, isSecret: isSecret)
            return nil
        }
        return nodes
    }

    package func entries(of node: SettingsNode, expected noun: String, isSecret: Bool) -> [SettingsNode.Entry]? {
        if node.isEmpty { return [] }
        guard case .map(let entries) = node.content else {
            mismatch(at: node, expected: noun, isSecret: isSecret)
            return nil
        }
        return entries
    }

    /// Decodes a map into `fields`; false after any fault.
    package func fill(_ fields: [NamedField], from node: SettingsNode) -> Bool {
        let isSecret = fields.contains { $0.field.isSecret }
        guard let entries = entries(of: node, expected: "keys and values", isSecret: isSecret) else { return false }
        var complete = true
        var seen: Set<String> = []
        for entry in entries {
            seen.insert(entry.name)
            if let named = fields.first(where: { $0.name == entry.name }) {
                // Not `complete &&`: every field is decoded, so that every fault is found.
                if !named.field.fill(from: entry.value, self) { complete = false }
            } else {
                complete = false
                unknownKey(entry, in: node, fields)
            }
        }
        for named in fields where named.field.isRequired && !seen.contains(named.name) {
            complete = false
            let problem = "missing key '\(named.name)' (\(named.field.summary))"
            report(
                SettingsProblem(
                    range: node.anchor, path: node.path, message: problem, help: "it takes \(named.field.noun)"))
        }
        return complete
    }

    private func unknownKey(_ entry: SettingsNode.Entry, in node: SettingsNode, _ fields: [NamedField]) {
        let names = fields.map(\.name)
        let meant = closest(to: entry.name, among: names)
        // Under a misspelled name there may be a secret.
        if fields.contains(where: { $0.name == meant && !$0.field.isSecret }) { show(entry.value) }
        let help = meant.map { "did you mean '\($0)'?" } ?? "it takes: \(names.joined(separator: ", "))"
        report(
            SettingsProblem(
                range: entry.range, path: node.path, message: "unknown key '\(printable(entry.name))'",
                help: names.isEmpty ? "it takes no keys" : help))
    }
}

/// Text for a message: one line, without control characters and the secrets of a URL, at most 60 characters.
package func printable(_ text: String) -> String {
    var shown = ""
    var rest = text[...]
    for secret in secrets(inURL: text) {
        shown += rest[..<secret.lowerBound]
        shown += "…"
        rest = rest[secret.upperBound...]
    }
    shown += rest
    let head = shown.unicodeScalars.prefix(60).map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }
    return String(String.UnicodeScalarView(head)) + (shown.unicodeScalars.count > 60 ? "…" : "")
}
