package import PatchbayPlugin

/// Something wrong in a configuration, and where.
package struct Fault: Error, Hashable, Sendable {
    /// As it was given.
    package var file: String
    /// Counts from 1; 0 when the fault is about the file as a whole.
    package var line: Int
    /// Counts from 1, in Unicode scalars.
    package var column: Int
    /// How many scalars it is about, at least 1.
    package var length: Int
    /// For example `tenants.default.auth[0]`; empty at the top.
    package var path: String
    package var message: String
    /// What to do about it.
    package var help: String?
    /// Whether the configuration is good all the same.
    package var isWarning = false
    /// Whether it is that an environment variable is not set.
    package internal(set) var isUnsetVariable = false
    /// The source line, with `<hidden>` in place of what may be a secret.
    var excerpt: String?
    /// The fault's column in `excerpt`.
    var caret = 0

    package init(
        file: String, line: Int, column: Int, length: Int, path: String, message: String, help: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.length = length
        self.path = path
        self.message = message
        self.help = help
    }
}

extension Fault: CustomStringConvertible {
    /// Where it is: `config.yaml:3:17`, or the file alone.
    package var place: String { line == 0 ? file : "\(file):\(line):\(column)" }

    /// As compilers print it: position, message, source line with a caret, help.
    package var description: String {
        var text = "\(place): \(isWarning ? "warning" : "error"): \(path.isEmpty ? "" : "\(path): ")\(message)"
        if let excerpt {
            let room = max(1, excerpt.unicodeScalars.count - caret)
            let underline = "^" + String(repeating: "~", count: min(length, room) - 1)
            text += "\n  | \(excerpt)\n  | \(String(repeating: " ", count: caret))\(underline)"
        }
        return help.map { "\(text)\n  = \($0)" } ?? text
    }

    /// For editors and annotations in CI.
    package var json: JSONValue {
        [
            "file": .string(file), "line": .integer(line), "column": .integer(column), "length": .integer(length),
            "path": .string(path), "message": .string(message), "help": help.map(JSONValue.string) ?? .null,
            "severity": .string(isWarning ? "warning" : "error"),
        ]
    }
}

/// All faults of one configuration, in the order of its files.
package struct Faults: Error, Sendable, CustomStringConvertible {
    package let faults: [Fault]

    init(_ faults: some Sequence<Fault>) {
        self.faults = faults.sorted { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
    }

    /// The first hundred, one after the other, and how many more there are: `json` has them all.
    package var description: String {
        let shown = faults.prefix(100).map(\.description).joined(separator: "\n")
        return faults.count > 100 ? "\(shown)\nand \(faults.count - 100) more" : shown
    }

    /// A JSON array.
    package var json: JSONValue { .array(faults.map(\.json)) }
}
