import PatchbayPlugin
import Testing

@testable import EmbedTokenAuth

@Suite("Context variables from a page")
struct ContextVariablesTests {
    @Test(
        "drops keys that are unfit",
        arguments: [
            "", "  ", "a.b", "a b", "a\tb", "a|b", "a{b", "a}b", "provider", "runtime_configuration",
            "mps_correlation_id",
            " provider ", String(repeating: "k", count: 65),
        ])
    func unfitKeys(key: String) {
        #expect(sanitized([key: "x", "kept": "y"]) == ["kept": "y"])
    }

    @Test(
        "keeps keys that are fit, without the space around them",
        arguments: [
            ("customer-name", "customer-name"), (" \tname\n", "name"), ("名前", "名前"), ("Provider", "Provider"),
            (String(repeating: "k", count: 64), String(repeating: "k", count: 64)),
        ])
    func fitKeys(key: String, kept: String) {
        #expect(sanitized([key: "x"]) == [kept: "x"])
    }

    @Test("keeps 50 variables")
    func count() {
        let many = Dictionary(uniqueKeysWithValues: (100..<200).map { ("v\($0)", JSONValue.integer($0)) })
        let kept = sanitized(many)
        #expect(kept.count == 50)
        #expect(kept["v149"] != nil && kept["v150"] == nil)
    }

    @Test("cuts strings to 2000 characters")
    func strings() {
        let kept = sanitized(["a": .string(String(repeating: "é", count: 2_001))])
        #expect(kept["a"] == .string(String(repeating: "é", count: 2_000)))
    }

    @Test("keeps numbers, truth values, null and small structures, and drops large ones")
    func values() {
        let fit: [String: JSONValue] = [
            "integer": 1, "number": 1.5, "bool": false, "null": .null, "list": [1, [2]], "object": ["a": ["b": "c"]],
            "just": .array([.string(String(repeating: "x", count: 1_996))]),
        ]
        let large: JSONValue = .array([.string(String(repeating: "x", count: 1_997))])
        #expect(sanitized(fit.merging(["large": large]) { old, _ in old }) == fit)
    }

    @Test("drops what would pass 8192 bytes in all, and still takes what fits")
    func total() {
        let text = JSONValue.string(String(repeating: "x", count: 2_000))
        // Each takes 1 + 2002 bytes: four leave 180.
        let kept = sanitized(["a": text, "b": text, "c": text, "d": text, "e": text, "f": "small"])
        #expect(kept.keys.sorted() == ["a", "b", "c", "d", "f"])
    }
}
