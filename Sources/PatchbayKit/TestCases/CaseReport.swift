import PatchbayConfig
import PatchbayPlugin

/// How a test went.
struct CaseReport: Sendable {
    /// What is other than it should be.
    struct Mismatch: Sendable, Equatable {
        /// The key under `expect`.
        var key: String
        var expected: String
        /// Empty for nothing.
        var found: String
    }

    var test: TestCase
    var mismatches: [Mismatch] = []
    /// Why a caller was refused, or a candidate is not used.
    var reason: String?
    /// What kept anybody from telling.
    var failure: String?

    var isGood: Bool { mismatches.isEmpty && failure == nil }

    /// What was found, held against what the test expects.
    init(_ test: TestCase, _ found: Findings) {
        self.test = test
        reason = found.reason
        for named in test.expect.fields {
            guard let written = named.field.written, written != .null else { continue }
            let mismatch = Mismatch(key: named.name, expected: written.plain, found: found[named.name] ?? "")
            if mismatch.found != mismatch.expected { mismatches.append(mismatch) }
        }
    }

    init(_ test: TestCase, failure: String) {
        self.test = test
        self.failure = failure
    }

    var json: JSONValue {
        [
            "name": .string(test.name), "file": .string(test.file), "line": .integer(test.line), "ok": .bool(isGood),
            "mismatches": .array(
                mismatches.map {
                    ["key": .string($0.key), "expected": .string($0.expected), "found": .string($0.found)]
                }),
            "reason": reason.map(JSONValue.string) ?? .null, "failure": failure.map(JSONValue.string) ?? .null,
        ]
    }
}

extension CaseReport: CustomStringConvertible {
    /// One line.
    var description: String {
        let name = Self.oneLine(test.name)
        guard !isGood else { return "ok      \(name)" }
        var complaints = mismatches.map {
            "\($0.key) should be \(Self.quoted($0.expected)), is \(Self.quoted($0.found))"
        }
        if let failure { complaints.append(Self.oneLine(failure)) }
        let because = mismatches.isEmpty ? "" : reason.map { " (\(Self.oneLine($0)))" } ?? ""
        return "FAILED  \(name): \(complaints.joined(separator: "; "))\(because) [\(test.file):\(test.line)]"
    }

    private static func quoted(_ text: String) -> String { text.isEmpty ? "nothing" : printable(text) }

    /// What is quoted may come from anywhere.
    private static func oneLine(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}

/// What becomes of a caller or a candidate, under the keys that `expect` has for it.
struct Findings: Sendable {
    private var values: [String: String] = [:]
    var reason: String?
    /// What kept the gateway from telling who may: a refusal by accident.
    var accident: String?
    /// Why the request got no farther than to a place where nobody is asked.
    var astray: String?

    /// Why these say nothing of what a test is about.
    func failure(of expected: ExpectationSettings) -> CaseFailure? {
        if let accident, expected.status == nil, expected.code == nil {
            return CaseFailure("nobody could tell: \(accident)")
        }
        let isNamed = expected.status != nil || expected.code != nil || expected.tenant != nil
        if let astray, expected.outcome == .refused, !isNamed {
            return CaseFailure("nobody was asked: \(astray); where that is meant, expect its status or code, too")
        }
        return nil
    }

    subscript(key: String) -> String? {
        get { values[key] }
        set { values[key] = newValue }
    }
}
