import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("ICE servers")
struct ICEServerTests {
    private static let good = "2b7e151628aed2a6abf7158809cf4f3c"

    private func servers(_ yaml: String, secret: String = good) throws -> [ICEServerSettings] {
        let text = """
            version: 1
            ice_servers: \(yaml)
            pipelines: { e: { type: echo } }
            tenants: { t: { match: any, allow_anonymous: true, pipeline: e } }
            """
        return try load(text, environment: ["TURN": secret, "OTHER": Self.good]).iceServers
    }

    private func faults(_ yaml: String, secret: String = good) -> [Fault] {
        let error = #expect(throws: Faults.self) { try servers(yaml, secret: secret) }
        #expect(error?.description.contains(secret) == false)
        return error?.faults ?? []
    }

    @Test("are read, with credentials for an hour unless it says otherwise")
    func read() throws {
        let servers = try servers(
            "[{ urls: [\"stun:stun.example.org\"] }, { urls: [\"turn:t:1\", \"turns:t\"], secret: { env: TURN } }]")
        #expect(servers.map { $0.urls.map(\.text) } == [["stun:stun.example.org"], ["turn:t:1", "turns:t"]])
        #expect(servers.map { $0.urls.map(\.isTURN) } == [[false], [true, true]])
        #expect(servers.map { $0.secret?.withValue { $0 } } == [nil, Self.good])
        #expect(servers.map(\.ttl) == [.seconds(3600), .seconds(3600)])
        #expect(try self.servers("[{ urls: [\"stun:s\"], ttl: 60s }]").map(\.ttl) == [.seconds(60)])
        #expect(try self.servers("").isEmpty)
        #expect(try load(stock()).iceServers.isEmpty)
    }

    @Test(
        "say whom to ask and how (RFC 7064 §3.2, RFC 7065 §3.2)",
        arguments: [
            ("stun:stun.example.org", "stun.example.org", 3478, .udp),
            ("stun:192.0.2.1:19302", "192.0.2.1", 19_302, .udp),
            ("stun:[2001:db8::1]", "2001:db8::1", 3478, .udp), ("stun:[2001:db8::1]:5000", "2001:db8::1", 5000, .udp),
            ("stuns:stun.example.org", "stun.example.org", 5349, .other),
            ("turn:t.example.org", "t.example.org", 3478, .udp),
            ("turn:t:5?transport=udp", "t", 5, .udp), ("turn:t?transport=tcp", "t", 3478, .tcp),
            ("turns:t.example.org", "t.example.org", 5349, .tls), ("turns:[::1]:443?transport=tcp", "::1", 443, .tls),
            ("turns:t?transport=udp", "t", 5349, .other),
        ] as [(String, String, UInt16, ICEServerURL.Transport)])
    func endpoint(text: String, host: String, port: UInt16, transport: ICEServerURL.Transport) throws {
        let url = try #require(ICEServerURL.decode(text))
        #expect(url.endpoint.host == host && url.endpoint.port == port)
        #expect(url.transport == transport)
    }

    @Test("give a user and a password where the server shares no secret, or nothing")
    func users() throws {
        let server = try #require(
            try servers("[{ urls: [\"turn:t\"], username: me, password: { env: TURN } }]").first)
        #expect(server.username == "me" && server.hasCredentials)
        #expect(server.password?.withValue { $0 } == Self.good)
        for (wrong, words) in [
            ("username: me", "belong together"), ("password: { env: TURN }", "belong together"),
            ("username: me, password: { env: TURN }, secret: { env: TURN }", "a user, and a secret"),
        ] {
            let faults = faults("[{ urls: [\"turn:t\"], \(wrong) }]")
            #expect(faults.map(\.message).contains { $0.contains(words) }, "\(faults)")
        }
    }

    @Test(
        "have URLs of RFC 7064 and RFC 7065",
        arguments: [
            "stun:stun.example.org", "stun:stun.example.org:3478", "stuns:stun.example.org:5349", "stun:192.0.2.1",
            "stun:[2001:db8::1]", "stun:[2001:db8::1]:3478", "turn:example.org", "turn:example.org:3478",
            "turn:example.org?transport=udp", "turn:192.0.2.1:3478?transport=tcp", "turn:[::1]:65535?transport=tcp",
            "turns:example.org:5349?transport=tcp", "turns:example.org?transport=udp", "stun:localhost:1",
        ])
    func urls(text: String) {
        #expect(ICEServerURL.decode(text)?.text == text)
    }

    @Test(
        "have no other URLs, and what is wrong is said",
        arguments: [
            ("", "for example"), ("stun.example.org", "for example"), ("stun", "for example"), ("stun:", "for example"),
            ("http:example.org", "for example"), ("trun:example.org", "did you mean 'turn'?"),
            ("TURN:example.org", "the scheme is written in lower case: turn:"),
            ("turn://example.org", "without the slashes: turn:example.org"), ("turn:/example.org", "for example"),
            ("stun:example.org?transport=udp", "a stun: URL ends with the port (RFC 7064)"),
            ("turn:example.org?transport=tls", "after the port may stand ?transport=udp or ?transport=tcp"),
            ("turn:example.org?transport=UDP", "after the port may stand ?transport=udp or ?transport=tcp"),
            ("turn:example.org?transport=udp&x=1", "after the port may stand ?transport=udp or ?transport=tcp"),
            ("turn:example.org?", "after the port may stand ?transport=udp or ?transport=tcp"),
            ("turn:?transport=udp", "for example"), ("turn:example.org:", "for example"),
            ("turn:example.org:0", "for example"), ("turn:example.org:65536", "for example"),
            ("turn:example.org:+80", "for example"), ("turn:example.org:080", "for example"),
            ("turn:example.org:80:80", "for example"), ("turn:::1", "for example"), ("turn:[::1", "for example"),
            ("turn:[::1]80", "for example"), ("turn:[192.0.2.1]", "for example"), ("turn:192.0.2.256", "for example"),
            ("turn:192.0.2", "for example"), ("turn:exa mple.org", "for example"), ("turn:-a.org", "for example"),
            ("turn:example.org/path", "for example"), ("turn:example.org\u{0}", "for example"),
            (" turn:example.org", "did you mean 'turn'?"), ("turn:example.org\n", "for example"),
        ])
    func otherURLs(text: String, advice: String) {
        #expect(ICEServerURL.decode(text) == nil)
        #expect(ICEServerURL.advice(for: text)?.hasPrefix(advice) == true)
    }

    @Test(
        "with a fault say where it is",
        arguments: [
            ("[{ urls: [] }]", ["ice_servers[0].urls: the list of URLs is empty"]),
            ("[{}]", ["ice_servers[0]: missing key 'urls' (stun:, stuns:, turn: and turns: URLs of one server)"]),
            ("{ urls: [\"stun:s\"] }", ["ice_servers: expected a list, found keys and values"]),
            (
                "[{ urls: [\"stun:s\", \"stuns:s\"], secret: { env: TURN } }]",
                ["ice_servers[0].secret: credentials, and no turn: or turns: URL that they are for"]
            ),
            (
                "[{ urls: [\"turn:a\"], secret: { env: TURN } }, { urls: [\"turn:b\"], secret: { env: OTHER } }]",
                ["ice_servers[1].secret: a second secret: one TURN server hands out credentials"]
            ),
            (
                "[{ urls: [\"turn:a\"], secret: { env: TURN }, ttl: 59s }]",
                ["ice_servers[0].ttl: expected a duration from 1m to 1d, found '59s'"]
            ),
            (
                "[{ urls: [\"turn:a\"], ttl: 25h }]",
                ["ice_servers[0].ttl: expected a duration from 1m to 1d, found '25h'"]
            ),
            (
                "[{ urls: [\"turn:a\"], credential: x }, { urls: [\"turn//b\"] }]",
                [
                    "ice_servers[0]: unknown key 'credential'",
                    "ice_servers[1].urls[0]: expected the URL of a STUN or TURN server, found 'turn//b'",
                ]
            ),
        ])
    func faults(yaml: String, messages: [String]) {
        #expect(faults(yaml).map { "\($0.path): \($0.message)" } == messages)
    }

    @Test(
        "show no password that stands in a URL or for a secret", arguments: ["turn:bob:hunter2@a", "turn:hunter2@a?x"])
    func hidden(url: String) {
        for yaml in ["[{ urls: [\"\(url)\"], secret: { env: TURN } }]", "[{ urls: [\"turn:a\"], secret: \(url) }]"] {
            let error = #expect(throws: Faults.self) { try servers(yaml) }
            #expect(error?.faults.count == 1)
            #expect(
                error?.description.contains("hunter2") == false && error?.json.description.contains("hunter2") == false)
        }
    }

    @Test(
        "do not take a secret that is short or a placeholder",
        arguments: [
            ("hunter2", "the secret has fewer than 16 bytes"), ("change-me", "the secret has fewer than 16 bytes"),
            ("changeme", "the secret has fewer than 16 bytes"),
            ("0123456789abcde", "the secret has fewer than 16 bytes"),
            ("your-secret-here", "the secret is a placeholder"),
            ("YOUR_TURN_SECRET_HERE", "the secret is a placeholder"),
            ("change-me-in-production", "the secret is a placeholder"),
            ("changemechangeme", "the secret is a placeholder"),
            ("turn-shared-secret-123", "the secret is a placeholder"),
            ("<your secret key>", "the secret is a placeholder"),
            ("secretsecretsecret", "the secret is a placeholder"),
            ("my secret 83746251", "the secret is a placeholder"),
            ("0123456789abcdef", "the secret is a row of digits, of the alphabet or of a keyboard"),
            ("trustno1trustno1trustno1", "the secret is one piece again and again"),
            ("aaaaaaaaaaaaaaaaaaaa", "the secret is made of fewer than four different characters"),
        ])
    func weak(secret: String, message: String) {
        let found = faults("[{ urls: [\"turn:a\"], secret: { env: TURN } }]", secret: secret)
        #expect(found.map(\.message) == [message])
        #expect(found.first?.help?.contains("openssl rand -hex 32") == true)
    }

    @Test(
        "take any other secret",
        arguments: [
            "8f14e45fceea167a", "secret-4f1d8a0b72c39e56", "correct horse battery", "Zm9vYmFyYmF6cXV1eA==",
            "пароль-длинный",
        ])
    func strong(secret: String) throws {
        let servers = try servers("[{ urls: [\"turn:a\"], secret: { env: TURN } }]", secret: secret)
        #expect(servers.first?.secret?.withValue { $0 } == secret)
    }
}
