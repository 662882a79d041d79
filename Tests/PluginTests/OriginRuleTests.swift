import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import EmbedTokenAuth

@Suite("Origin rule")
struct OriginRuleTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var origin: String
        var domains: [String]
        var isAllowed: Bool

        init(_ origin: String, _ domains: [String], _ isAllowed: Bool) {
            (self.origin, self.domains, self.isAllowed) = (origin, domains, isAllowed)
        }

        var testDescription: String { "\(origin) by \(domains)" }
    }

    @Test(
        "allows and refuses as its table says",
        arguments: [
            Row("", [], true),
            Row("https://any.example", [], true),
            Row("", ["example.com"], false),
            Row("", ["*"], false),
            Row("null", ["*"], true),
            Row("null", ["example.com"], false),
            Row("https://example.com", ["example.com"], true),
            Row("https://www.example.com", ["example.com"], true),
            Row("https://example.com", ["www.example.com"], true),
            Row("https://a.example.com", ["example.com"], false),
            Row("https://a.example.com", ["*.example.com"], true),
            Row("https://a.b.example.com", ["*.example.com"], true),
            Row("https://example.com", ["*.example.com"], true),
            Row("https://evilexample.com", ["*.example.com"], false),
            Row("https://example.com.evil.net", ["example.com"], false),
            Row("https://example.com@evil.net", ["example.com"], false),
            Row("http://example.com", ["https://example.com"], true),
            Row("https://example.com:8443", ["example.com"], true),
            Row("https://example.com", ["example.com:443"], false),
            Row("https://example.com:443", ["example.com:443"], true),
            Row("http://localhost:3020", ["localhost:3000", "localhost:3020"], true),
            Row("http://localhost:3021", ["localhost:3000", "localhost:3020"], false),
            Row("https://EXAMPLE.com.", ["example.com"], true),
            Row("https://example.com/path/x", ["example.com"], true),
            Row("https://example.com/" + String(repeating: "a", count: 5000), ["example.com"], true),
            Row("https://example.com:notaport", ["example.com"], true),
            Row("https://www.www.example.com", ["www.example.com"], true),
            Row("http://[::1]:3000", ["[::1]:3000"], true),
            Row("https://example.com", ["", "", "  EXAMPLE.COM "], true),
        ])
    func table(row: Row) {
        var token = EmbedToken()
        token.allowedDomains = row.domains
        #expect(token.allows(row.origin) == row.isAllowed)
    }

    @Test(
        "does not let a page through that only looks like an allowed one",
        arguments: [
            Row("https://evil.net/example.com", ["example.com"], false),
            Row("https://evil.net?example.com", ["example.com"], false),
            Row("https://evil.net#example.com", ["example.com"], false),
            Row("https://evil.net/@example.com", ["example.com"], false),
            Row("https://evil.net?://example.com", ["example.com"], false),
            Row("https://example.com:443@evil.net", ["example.com"], false),
            Row("https://example.com:8443", ["example.com:443"], false),
            Row("https://example.com:notaport", ["example.com:443"], false),
            Row("https://example.com:65979", ["example.com:443"], false),
            Row("https://example.com", [""], false),
            Row("https://", ["*"], false),
            Row("https://.", ["*"], false),
            Row("https://[::2]:3000", ["[::1]:3000"], false),
            Row("https://[::1", ["[::1]"], false),
            Row("https://.example.com", ["example.com"], false),
            Row("https://" + String(repeating: "a", count: 1004) + ".example.com.evil.net", ["*.example.com"], false),
            Row("https://" + String(repeating: "a", count: 1003) + "@example.com.evil.net/", ["example.com"], false),
            Row("https://b\u{FC}cher.example", ["*"], false),
            Row("https://com", ["*.example.com"], false),
            // What is no rule allows nothing, where it stands in a store.
            Row("https://evil.net", ["*."], false),
            Row("https://example.com", ["*.", "*example.com", "example.com:"], false),
            Row("https://example.com", ["example.com:0", "example.com:x"], false),
            Row("https://example.com:443", ["example.com:65979", "example.com:443x"], false),
            Row("https://xn--bcher-kva.example", ["b\u{fc}cher.example"], false),
        ])
    func lookalikes(row: Row) {
        var token = EmbedToken()
        token.allowedDomains = row.domains
        #expect(token.allows(row.origin) == row.isAllowed)
    }

    @Test(
        "an entry that would allow nothing, or more than it says, is a fault of the settings and of a saved token",
        arguments: [
            ("*.", OriginRuleFault.wildcard), ("*.*.example.com", .wildcard), ("*example.com", .wildcard),
            ("a.*.com", .wildcard), ("**", .wildcard), ("example.com:", .port), ("example.com:0", .port),
            ("example.com:x", .port), ("example.com:65536", .port), ("example.com:443x", .port), ("*:*", .port),
            ("b\u{fc}cher.example", .notASCII), ("a.com,b.com", .several), ("a.com b.com", .several),
            ("https//x", .scheme), ("https:/x", .scheme), ("http", .scheme), ("", .host), ("https://", .host),
            (".", .host), (".example.com", .host), ("a..b", .host), ("user@example.com", .host), ("ftp://x", .port),
            ("::1", .host), ("[::1", .port), ("[x]", .host), ("[]:80", .host), ("*.[::1]", .port),
            ("*.:80", .wildcard),
        ])
    func faults(text: String, fault: OriginRuleFault) async throws {
        #expect(throws: fault) { try OriginRule(text) }
        let quoted = JSONValue.string(text).description
        let yaml = #expect(throws: SettingsFault.self) {
            try EmbedFixture(tokens: "[{ token: emb_a, workflow: 7, allowed_domains: [example.com, \(quoted)] }]")
        }
        #expect(yaml?.description.contains(fault.description) == true)
        let place: [SettingsFault.Step] = [0, "allowed_domains", 1]
        #expect(yaml?.place == place)
        let page = try EmbedFixture()
        let request = TokenRequest(
            user: "u", workflowID: 7, lifetime: .zero, isSaved: true, allowedDomains: ["example.com", text])
        let saved = await #expect(throws: SettingsFault.self) { try await page.auth.mint(request) }
        #expect(saved?.description.contains(fault.description) == true)
        #expect(await page.store.keys.isEmpty)
    }

    @Test(
        "these are rules",
        arguments: [
            "*", "*:8080", "example.com", "EXAMPLE.com.", "*.example.com", "*.example.com:8443", "https://example.com",
            "http://example.com:80/path", "example.com/path", "localhost", "localhost:3000", "127.0.0.1:3000",
            "[::1]", "[2001:db8::1]:3000", "xn--bcher-kva.example", "my_host.example",
        ])
    func rules(text: String) {
        #expect(throws: Never.self) { try OriginRule(text) }
    }

    @Test(
        "a page is of the gateway's own host at whatever port, and one from nowhere is not",
        arguments: [
            ("https://voice.example.org", "voice.example.org", true),
            ("https://voice.example.org", "Voice.example.org.:8080", true),
            ("https://voice.example.org:8443", "voice.example.org", true),
            ("http://[::1]:8080", "[::1]:8080", true), ("http://127.0.0.1:8080", "localhost:8080", false),
            ("https://www.voice.example.org", "voice.example.org", false),
            ("https://evil.net", "voice.example.org", false),
            ("https://voice.example.org.evil.net", "voice.example.org", false),
            ("https://voice.example.org@evil.net", "voice.example.org", false), ("null", "null", false),
            ("", "", false), ("https://", "", false),
        ])
    func own(origin: String, host: String, isOwn: Bool) {
        #expect(OriginRule.isOwn(origin, host: host) == isOwn)
    }
}
