internal import PatchbayPlugin

/// A configuration text as a tree, and what is wrong with it as YAML.
struct YAMLTree {
    static let maximumBytes = 256 * 1024
    static let maximumDepth = 16
    private static let maximumKeyLength = 128

    /// An empty map when nothing is there.
    private(set) var root: SettingsNode
    private(set) var problems: [SettingsProblem] = []
    /// Where values stand, read or not.
    private(set) var scalars: [SourceRange] = []
    /// Whether the text is YAML to its end.
    private(set) var isWellFormed = true

    private let environment: [String: String]
    private let file: Int
    private var events: ArraySlice<YAMLEvent> = []

    /// - Parameters:
    ///   - file: its number, for `SourceRange`.
    ///   - path: where in the configuration it belongs.
    init(_ text: String, environment: [String: String], file: Int = 0, path: SettingsPath = .root) {
        self.environment = environment
        self.file = file
        let start = SourceRange(file: file, line: 0, column: 0, endLine: 0, endColumn: 0)
        root = SettingsNode(content: .map([]), range: start, anchor: start, path: path)
        guard text.utf8.count <= Self.maximumBytes else {
            isWellFormed = false
            report(start, "the configuration is larger than 256 KiB")
            return
        }
        let (events, error) = yamlEvents(text, maximumDepth: Self.maximumDepth)
        if let error {
            isWellFormed = false
            report(error, in: sourceLines(text))
            return
        }
        self.events = events[...]
        if next() != nil, let first = next() {
            root = node(first, anchor: nil, path: path)
            if case .documentEnd? = next()?.kind, let second = next() {
                report(second.range, "a configuration is one document; here starts a second one")
            }
        }
    }

    private mutating func next() -> YAMLEvent? {
        guard var event = events.popFirst() else { return nil }
        event.range.file = file
        return event
    }

    private mutating func report(
        _ range: SourceRange, _ message: String, help: String? = nil, path: SettingsPath = .root
    ) {
        problems.append(SettingsProblem(range: range, path: path, message: message, help: help))
    }

    private mutating func report(_ error: YAMLSyntaxError, in lines: [[Unicode.Scalar]]) {
        // libyaml says the line behind the last when the text ends too soon.
        let line = min(error.line, lines.count - 1)
        let column = line < error.line ? lines[line].count : error.column
        let place = SourceRange(file: file, line: line, column: column, endLine: line, endColumn: column + 1)
        let rest = lines[line].dropFirst(column)
        if rest.first == "\t" {
            report(place, "a tab cannot indent YAML", help: "use spaces")
        } else {
            report(place, error.message, help: Self.slip(lines[line], column) ?? error.help)
        }
    }

    /// What to write where text was taken for something else; none of it is repeated, for it may be a secret.
    private static func slip(_ line: [Unicode.Scalar], _ column: Int) -> String? {
        let (before, here) = (line.prefix(column).last, line.dropFirst(column).first)
        if here == "*" || before == "*" { return "what begins with * is quoted: '*.shop.example'" }
        if before == "$", here == "{" { return "a variable inside { } or [ ] is quoted: \"${NAME}\"" }
        return nil
    }

    private mutating func node(_ event: YAMLEvent, anchor key: SourceRange?, path: SettingsPath) -> SettingsNode {
        refuseProperties(of: event, path)
        var range = event.range
        let content: SettingsNode.Content
        switch event.kind {
        case .scalar(let text, let isPlain):
            scalars.append(event.range)
            content = scalar(text, isPlain, event.range, path)
        case .sequenceStart:
            (content, range) = list(event.range, path)
        case .mappingStart:
            (content, range) = map(event.range, path)
        case .alias, .collectionEnd, .documentStart, .documentEnd:
            // A password may begin with *.
            scalars.append(event.range)
            report(event.range, "aliases (*name) are refused", help: "write the value again", path: path)
            content = .invalid
        }
        let first = SourceRange(
            file: file, line: range.line, column: range.column, endLine: range.line, endColumn: range.column + 1)
        return SettingsNode(content: content, range: range, anchor: key ?? first, path: path)
    }

    private mutating func refuseProperties(of event: YAMLEvent, _ path: SettingsPath) {
        if event.anchor != nil { report(event.range, "anchors (&name) are refused", help: "remove it", path: path) }
        if event.tag != nil {
            report(event.range, "tags (!name) are refused", help: "remove it: the setting decides the type", path: path)
        }
    }

    private mutating func scalar(
        _ text: String, _ isPlain: Bool, _ range: SourceRange, _ path: SettingsPath
    ) -> SettingsNode.Content {
        do {
            let expanded = try expandVariables(text, environment)
            return .scalar(SettingsNode.Scalar(text: expanded, source: text, isPlain: isPlain))
        } catch {
            var problem = SettingsProblem(range: range, path: path, message: error.description, help: error.help)
            problem.isUnsetVariable = error.isUnset
            problems.append(problem)
            return .invalid
        }
    }

    private mutating func list(_ start: SourceRange, _ path: SettingsPath) -> (SettingsNode.Content, SourceRange) {
        var nodes: [SettingsNode] = []
        var range = start
        while let event = next() {
            if case .collectionEnd = event.kind {
                (range.endLine, range.endColumn) = (event.range.endLine, event.range.endColumn)
                break
            }
            nodes.append(node(event, anchor: nil, path: .index(path, nodes.count)))
        }
        return (.list(nodes), range)
    }

    private mutating func map(_ start: SourceRange, _ path: SettingsPath) -> (SettingsNode.Content, SourceRange) {
        var entries: [SettingsNode.Entry] = []
        var lines: [String: Int] = [:]
        var range = start
        while let key = next() {
            if case .collectionEnd = key.kind {
                (range.endLine, range.endColumn) = (key.range.endLine, key.range.endColumn)
                break
            }
            guard let name = name(key, path) else {
                _ = next().map { node($0, anchor: nil, path: path) }
                continue
            }
            guard let event = next() else { break }
            let value = node(event, anchor: key.range, path: .key(path, name))
            if let line = lines[name] {
                report(
                    key.range, "the key '\(printable(name))' is here twice", help: "first in line \(line + 1)",
                    path: path)
            } else {
                lines[name] = key.range.line
                entries.append(SettingsNode.Entry(name: name, range: key.range, value: value))
            }
        }
        return (.map(entries), range)
    }

    /// The text of a key; nil, after a fault, for one that is none.
    private mutating func name(_ event: YAMLEvent, _ path: SettingsPath) -> String? {
        refuseProperties(of: event, path)
        guard case .scalar(let text, let isPlain) = event.kind else {
            // Reads past a key that is itself a collection.
            _ = node(event, anchor: nil, path: path)
            report(event.range, "a key is one word, not a list or a map", path: path)
            return nil
        }
        if isPlain, text == "<<" {
            report(event.range, "merge keys (<<) are refused", help: "write the keys out", path: path)
            return nil
        }
        guard text.utf8.count <= Self.maximumKeyLength else {
            report(event.range, "a key is longer than \(Self.maximumKeyLength) bytes", path: path)
            return nil
        }
        return text
    }
}
