import PatchbayPlugin
import Testing

@testable import PatchbayKit

@Suite("patchbay token list: what it prints")
struct ListedCredentialTests {
    private func listed(
        _ name: String, in store: String? = "local", _ change: (inout KnownCredential) -> Void = { _ in }
    ) -> ListedCredential {
        var credential = KnownCredential(name: name, store: store)
        change(&credential)
        return ListedCredential(instance: "embeds", type: "embed_token", credential: credential)
    }

    private func table(_ credentials: ListedCredential...) -> [String] {
        ListedCredential.table(credentials, now: .seconds(1_800_000_000)).split(separator: "\n").map(String.init)
    }

    @Test("a table has a line for each, under one heading")
    func columns() {
        let full = listed("emb_long_name") {
            $0.id = "shop"
            $0.user = "42"
            $0.organization = "acme"
            $0.workflowID = 7
            $0.expires = .seconds(1_800_000_001)
            $0.uses = 3
            $0.usageLimit = 10
        }
        let expected = """
            TYPE         INSTANCE  IN             USER  ORGANISATION  WORKFLOW  \
            EXPIRES               USES     ID    NAME           STATE
            embed_token  embeds    configuration  -     -             -         \
            -                     -        -     emb_a          good
            embed_token  embeds    store local    42    acme          7         \
            2027-01-15T08:00:01Z  3 of 10  shop  emb_long_name  good
            """
        #expect(table(listed("emb_a", in: nil), full).joined(separator: "\n") == expected)
    }

    @Test("one that is not good says why")
    func states() {
        let lines = table(
            listed("a") { $0.isActive = false }, listed("b") { $0.expires = .seconds(1_800_000_000) },
            listed("c") { ($0.uses, $0.usageLimit) = (2, 2) }, listed("d") { ($0.uses, $0.usageLimit) = (1, 2) },
            listed("e") { $0.usageLimit = 2 }, listed("f") { $0.fault = "unknown key 'x'" })
        let before = lines[0].count - "STATE".count
        let states = lines.dropFirst().map { String($0.dropFirst(before)) }
        #expect(states == ["inactive", "expired", "used up", "good", "good", "faulty: unknown key 'x'"])
        #expect(lines[5].contains("? of 2"))
    }

    @Test("what stands in a store does not talk to the terminal, and begins no line of its own")
    func hostile() {
        let lines = table(listed("a\u{1b}[2J\nb\u{202e}c"))
        #expect(lines.count == 2)
        #expect(lines[1].contains(#" a\u{1b}[2J\u{a}b\u{202e}c "#))
    }

    @Test("nor does it make every line as long as it is, be it of one character", arguments: ["a", "\u{301}"])
    func long(piece: String) {
        let lines = table(listed("a" + String(repeating: piece, count: 100_000)), listed("b"))
        #expect(lines.allSatisfy { $0.utf8.count < 1000 } && lines[1].contains("… "))
    }

    @Test("JSON has every member, null where there is nothing")
    func json() {
        let credential = KnownCredential(name: nil, store: "local", fault: "it is not shown")
        let json = ListedCredential(instance: "machines", type: "api_key", credential: credential).json
        let expected: JSONValue = [
            "type": "api_key", "instance": "machines", "name": .null, "id": .null, "source": "store", "store": "local",
            "user": .null, "organization": .null, "workflow": .null, "expires": .null, "active": false, "uses": .null,
            "usage_limit": .null, "fault": "it is not shown",
        ]
        #expect(json == expected)
        let configured = listed("emb_a", in: nil) {
            $0.expires = .zero
            $0.uses = 1
        }.json
        #expect(configured["source"] == "configuration" && configured["store"] == JSONValue.null)
        #expect(configured["expires"] == "1970-01-01T00:00:00Z" && configured["uses"] == 1)
    }
}
