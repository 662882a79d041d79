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
            Row("https://example.com:notaport", ["example.com"], true),
            Row("https://www.www.example.com", ["www.example.com"], true),
            Row("http://[::1]:3000", ["[::1]:3000"], true),
            Row("https://example.com", ["", "", "  EXAMPLE.COM "], true),
        ])
    func table(row: Row) {
        #expect(originIsAllowed(row.origin, domains: row.domains) == row.isAllowed)
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
            Row("https://com", ["*.example.com"], false),
        ])
    func lookalikes(row: Row) {
        #expect(originIsAllowed(row.origin, domains: row.domains) == row.isAllowed)
    }
}
