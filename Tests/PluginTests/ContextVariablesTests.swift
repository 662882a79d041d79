import PatchbayPlugin
import Testing

@testable import EmbedTokenAuth

@Suite("Context variables from a page")
struct ContextVariablesTests {
    @Test(
        "drops keys that are unfit",
        arguments: [
            "", "  ", "a.b", "a b", "a\tb", "a\u{A0}b", "a\u{1F}b", "a|b", "a{b", "a}b", "a.\u{308}b", "provider",
            "runtime_configuration", "mps_correlation_id", " provider ", String(repeating: "k", count: 65),
            String(repeating: "👩‍👩‍👧", count: 13),
        ])
    func unfitKeys(key: String) {
        #expect(sanitized([key: "x", "kept": "y"], order: [key, "kept"]) == ["kept": "y"])
    }

    @Test(
        "keeps keys that are fit, without the space around them",
        arguments: [
            ("customer-name", "customer-name"), (" \t\u{1C}name\r\n", "name"), ("名前", "名前"), ("Provider", "Provider"),
            (String(repeating: "k", count: 64), String(repeating: "k", count: 64)),
        ])
    func fitKeys(key: String, kept: String) {
        #expect(sanitized([key: "x"], order: [key]) == [kept: "x"])
    }

    @Test("keeps the first 50 in the order of the text, unfit ones not counted")
    func count() async throws {
        let names = (0..<60).map { "v\($0 * 7 % 60)" }
        var members = names.map { #""\#($0)":1"# }
        members.insert(#""a.b":1"#, at: 3)
        members.insert(#""nested":{"\#(names[59])":1}"#, at: 0)
        let page = try EmbedFixture()
        _ = try await page.send(
            "POST", "init",
            body: """
                {"other":{"v1":1,"v2":{"context_variables":{"v3":1}}},
                 "context_variables":{\(members.joined(separator: ","))},"token":"emb_demo","last":{"v4":1}}
                """)
        let kept = try #require(try await page.sessions.first?["context_variables"]?.object)
        #expect(Set(kept.keys) == Set(names.prefix(49)).union(["nested", "provider", "direction"]))
    }

    @Test("members of a variable are none themselves")
    func nested() async throws {
        let page = try EmbedFixture()
        let session = try await page.session(context: #"{"a":{"b":{"c":1},"a":2},"d":[{"e":1}]}"#)
        let kept = try await page.connect(session).principal?.contextVariables
        #expect(
            kept == [
                "a": ["b": ["c": 1], "a": 2], "d": [["e": 1]], "provider": "smallwebrtc", "direction": "inbound",
            ])
    }

    @Test("what the gateway says wins over the page", arguments: ["{}", "null", #"{"direction":"outbound"}"#])
    func own(context: String) async throws {
        let page = try EmbedFixture()
        let kept = try await page.connect(try await page.session(context: context)).principal?.contextVariables
        #expect(kept == ["provider": "smallwebrtc", "direction": "inbound"])
    }

    @Test("cuts strings to 2000 characters")
    func strings() {
        let kept = sanitized(["a": .string(String(repeating: "é", count: 2_001))], order: ["a"])
        #expect(kept["a"] == .string(String(repeating: "é", count: 2_000)))
    }

    @Test("keeps numbers, truth values, null and small structures, and drops large ones")
    func values() {
        let fit: [String: JSONValue] = [
            "integer": 1, "number": 1.5, "bool": false, "null": .null, "list": [1, [2]], "object": ["a": ["b": "c"]],
            "just": .array([.string(String(repeating: "x", count: 1_996))]),
        ]
        let large: JSONValue = .array([.string(String(repeating: "x", count: 1_997))])
        let all = fit.merging(["large": large]) { old, _ in old }
        #expect(sanitized(all, order: all.keys.sorted()) == fit)
    }

    @Test("drops what would pass 8192 bytes in all, and still takes what fits")
    func total() {
        let text = JSONValue.string(String(repeating: "x", count: 2_000))
        // Each takes 1 + 2002 bytes: four leave 180.
        let all: [String: JSONValue] = ["a": text, "b": text, "c": text, "d": text, "e": text, "f": "small"]
        #expect(sanitized(all, order: ["a", "b", "c", "d", "e", "f"]).keys.sorted() == ["a", "b", "c", "d", "f"])
        #expect(sanitized(all, order: ["f", "e", "d", "c", "b", "a"]).keys.sorted() == ["b", "c", "d", "e", "f"])
    }

    @Test("counts 8192 bytes to the last: of the name in UTF-8, and of the value as JSON")
    func bytes() {
        let text = JSONValue.string(String(repeating: "x", count: 2_000))
        var all: [String: JSONValue] = ["a": text, "b": text, "c": text, "d": text]
        all["é"] = .string(String(repeating: "x", count: 176))
        let order = ["a", "b", "c", "d", "é"]
        #expect(sanitized(all, order: order).count == 5)
        all["é"] = .string(String(repeating: "x", count: 177))
        #expect(sanitized(all, order: order).count == 4)
    }
}
