internal import PatchbayPlugin

/// The files of a configuration, by their numbers in `SourceRange`.
struct Sources: Sendable {
    private(set) var files: [Source] = []

    /// The number of the file that is added next.
    var next: Int { files.count }

    mutating func add(_ source: Source) {
        files.append(source)
    }

    /// Hides `ranges` from all faults made from now on.
    mutating func hide(_ ranges: some Sequence<SourceRange>) {
        for (file, ranges) in Dictionary(grouping: ranges, by: \.file) where files.indices.contains(file) {
            files[file].hide(ranges)
        }
    }

    /// Hides what stands behind these keys in a file that is no YAML.
    mutating func hideValues(of names: Set<String>, in file: Int) {
        if files.indices.contains(file) { files[file].hideValues(of: names) }
    }

    /// The name of the file that a range is in.
    func file(of range: SourceRange) -> String {
        files.indices.contains(range.file) ? files[range.file].file : ""
    }

    func fault(_ problem: SettingsProblem) -> Fault {
        let file = files.indices.contains(problem.range.file) ? problem.range.file : 0
        return files[file].fault(problem)
    }
}

/// The text of a configuration, for faults to quote, without what may be a secret.
struct Source: Sendable {
    let file: String
    private let lines: [[Unicode.Scalar]]
    private var hidden: [Int: [(columns: Range<Int>, isStart: Bool)]] = [:]

    init(file: String, text: String) {
        self.file = file
        lines = sourceLines(text)
    }

    /// Hides `ranges` from all faults made from now on.
    mutating func hide(_ ranges: some Sequence<SourceRange>) {
        for range in ranges {
            for line in range.line...max(range.line, range.endLine) where lines.indices.contains(line) {
                let start = line == range.line ? range.column : 0
                let end = line == range.endLine ? range.endColumn : lines[line].count
                if start < end { hidden[line, default: []].append((start..<end, line == range.line)) }
            }
        }
    }

    /// Hides the rest of each line that starts with one of these keys, and the lines that only continue it; and URLs with
    /// a user, a password or a credential among the parameters in them.
    ///
    /// For a text that is no YAML, where nobody knows what is a value.
    mutating func hideValues(of names: Set<String>) {
        // How deep the key stands whose value is being hidden.
        var depth: Int?
        for (number, line) in lines.enumerated() {
            let indent = line.prefix { $0 == " " }.count
            let keys = line.indices.filter { line[$0] == ":" }.map { colon in
                let word = line[..<colon].reversed().drop { " \"'".unicodeScalars.contains($0) }
                    .prefix { $0.properties.isAlphabetic || "0123456789_-".unicodeScalars.contains($0) }
                return (name: String(String.UnicodeScalarView(word.reversed())), colon)
            }
            if let hidingDepth = depth, keys.isEmpty || indent > hidingDepth {
                hidden[number] = [(0..<line.count, true)]
            } else if let key = keys.first(where: { names.contains($0.name) || namesCredential($0.name) }) {
                let column = key.1 + 1
                hidden[number] = [(column..<max(column, line.count), true)]
                depth = indent
            } else {
                depth = nil
            }
            let text = String(String.UnicodeScalarView(line))
            if hidden[number] == nil, let start = secrets(inURL: text).first?.lowerBound {
                let column = text[..<start].unicodeScalars.count
                hidden[number] = [(column..<line.count, true)]
            }
        }
    }

    func fault(_ problem: SettingsProblem) -> Fault {
        let range = problem.range
        var fault = Fault(
            file: file, line: range.line + 1, column: range.column + 1, length: 1, path: problem.path.description,
            message: problem.message, help: problem.help)
        fault.isUnsetVariable = problem.isUnsetVariable
        guard lines.indices.contains(range.line) else { return fault }
        let line = lines[range.line]
        let end = range.endLine == range.line ? range.endColumn : line.count
        let quote = quoted(range.line, caret: min(range.column, line.count))
        if !quote.isHidden { fault.length = max(1, end - range.column) }
        fault.excerpt = quote.text
        fault.caret = quote.caret
        return fault
    }

    /// One line with `<hidden>` in it, and where in it the column `caret` is; cut to 160 characters around the caret.
    private func quoted(_ number: Int, caret: Int) -> (text: String, caret: Int, isHidden: Bool) {
        var shown: [Unicode.Scalar] = []
        var place: Int?
        var isHidden = false
        let ranges = (hidden[number] ?? []).sorted { $0.columns.lowerBound < $1.columns.lowerBound }
        var column = 0
        for (columns, isStart) in ranges where columns.upperBound > column {
            for index in column..<max(column, columns.lowerBound) {
                if index == caret { place = shown.count }
                shown.append(lines[number][index])
            }
            if columns.contains(caret) { (place, isHidden) = (shown.count, true) }
            if isStart { shown += Array("<hidden>".unicodeScalars) }
            column = min(columns.upperBound, lines[number].count)
        }
        for index in column..<max(column, lines[number].count) {
            if index == caret { place = shown.count }
            shown.append(lines[number][index])
        }
        let target = place ?? shown.count
        let start = shown.count > 160 ? max(0, min(target - 60, shown.count - 160)) : 0
        let window = shown[start..<min(shown.count, start + 160)].map { scalar -> Unicode.Scalar in
            scalar == "\t" ? " " : scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar
        }
        return (String(String.UnicodeScalarView(window)), target - start, isHidden)
    }
}

/// Lines as libyaml counts them: it takes CR, LF, CR LF, NEL, LS and PS for a break (YAML 1.1 §4.2).
func sourceLines(_ text: String) -> [[Unicode.Scalar]] {
    var lines: [[Unicode.Scalar]] = [[]]
    var last: Unicode.Scalar?
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\n" where last == "\r": break
        case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": lines.append([])
        default: lines[lines.count - 1].append(scalar)
        }
        last = scalar
    }
    return lines
}
