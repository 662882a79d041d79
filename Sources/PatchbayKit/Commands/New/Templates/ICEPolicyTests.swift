import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import MyPlugin

@Suite("MyPlugin")
struct MyPluginTests {
    @Test(
        "keeps what it is told to",
        arguments: [
            (Candidate.Kind.host, "udp", true), (.host, "tcp", false), (.serverReflexive, "udp", true),
            (.relay, "udp", false),
        ])
    func keeps(kind: Candidate.Kind, transport: String, isKept: Bool) throws {
        let policy = try MyPlugin.configured("{ kinds: [host, srflx], tcp: false }")
        let candidate = Candidate(kind: kind, address: "192.0.2.1", port: 9, transport: transport)
        #expect(policy.keeps(candidate, .inbound) == isKept)
        #expect(policy.keeps(candidate, .outbound) == isKept)
    }

    @Test("says when callers need a relay")
    func tellsOfRelays() throws {
        #expect(try MyPlugin.configured("kinds: [relay]").onlyRelays)
        #expect(try !MyPlugin.configured("kinds: [host, relay]").onlyRelays)
        #expect(throws: SettingsFault.self) { try MyPlugin.configured("kinds: []") }
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(MyPlugin.self)
    }
}
