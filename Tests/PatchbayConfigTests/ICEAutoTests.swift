import PatchbayConfig
import Testing

@Suite("ICE policies chosen by the environment")
struct ICEAutoTests {
    enum Server: String, CaseIterable {
        case isPublic, isPrivate, isShared

        /// SERVER_IP of every kind that counts as this.
        var addresses: [String] {
            switch self {
            case .isPublic:
                [
                    "", "voice.example.org", "8.8.8.8", "203.0.114.1", "100.63.255.255", "100.128.0.0", "2600::1",
                    // Not addresses, or not ones that anything private is behind.
                    "224.0.0.1", "ff02::1", "010.0.0.1", "10.1", "10.0.0.1 ", "::ffff:100.64.0.1", "64:ff9b::a00:1",
                ]
            case .isPrivate:
                [
                    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.50.24", "127.0.0.1", "169.254.1.1", "::1",
                    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "::ffff:10.0.0.1", "192.0.2.1", "2001:db8::1",
                ]
            case .isShared: ["100.64.0.0", "100.64.1.10", "100.127.255.255"]
            }
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var environment: String
        var forcesRelay: Bool
        var servers: [Server]
        var outbound: String
        var inbound: String

        init(_ environment: String, _ forcesRelay: Bool, _ servers: [Server], _ outbound: String, _ inbound: String) {
            (self.environment, self.forcesRelay, self.servers) = (environment, forcesRelay, servers)
            (self.outbound, self.inbound) = (outbound, inbound)
        }

        var testDescription: String { "\(environment), relay forced: \(forcesRelay), \(servers.map(\.rawValue))" }
    }

    @Test(
        "are those of their table",
        arguments: [
            Row("local", false, Server.allCases, "none", "none"),
            Row("local", true, Server.allCases, "all", "private"),
            Row("production", false, [.isPublic], "private", "private"),
            Row("production", false, [.isPrivate, .isShared], "none", "none"),
            Row("production", true, [.isPublic], "all", "private"),
            Row("production", true, [.isPrivate], "all", "none"),
            Row("production", true, [.isShared], "all", "public"),
            // Only this spelling is local.
            Row("Local", false, [.isPublic], "private", "private"),
            Row("", true, [.isPrivate], "all", "none"),
        ])
    func table(row: Row) throws {
        for address in row.servers.flatMap(\.addresses) {
            let chosen = iceAuto(environment: row.environment, forcesRelay: row.forcesRelay, serverIP: address)
            #expect(chosen == (row.outbound, row.inbound), "\(address)")
            let variables = [
                "ENVIRONMENT": row.environment, "FORCE_TURN_RELAY": "\(row.forcesRelay)", "SERVER_IP": address,
            ]
            let tenant = try #require(load(text, environment: variables).tenants.first)
            #expect((tenant.outboundPolicy, tenant.inboundPolicy) == chosen, "\(address)")
        }
    }

    @Test(
        "when variables are left out, and however the relay is forced",
        arguments: [
            ([:], "none", "none"),
            (["SERVER_IP": "8.8.8.8"], "none", "none"),
            (["ENVIRONMENT": "production"], "private", "private"),
            (["FORCE_TURN_RELAY": "true"], "all", "private"),
            (["FORCE_TURN_RELAY": "TRUE"], "all", "private"),
            (["FORCE_TURN_RELAY": "1"], "all", "private"),
            (["FORCE_TURN_RELAY": "Yes"], "all", "private"),
            (["FORCE_TURN_RELAY": "false"], "none", "none"),
            (["FORCE_TURN_RELAY": "0"], "none", "none"),
            (["FORCE_TURN_RELAY": ""], "none", "none"),
        ] as [([String: String], String, String)])
    func variables(variables: [String: String], outbound: String, inbound: String) throws {
        let configuration = try load(text, environment: variables)
        let tenant = try #require(configuration.tenants.first)
        #expect((tenant.outboundPolicy, tenant.inboundPolicy) == (outbound, inbound))
        #expect(configuration.instances[.icePolicy]?.keys.sorted() == Set([outbound, inbound]).sorted())
    }

    @Test("cannot be chosen in a build without them")
    func missing() {
        var bare = catalogue
        bare[.icePolicy] = []
        let error = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(text: text, environment: ["FORCE_TURN_RELAY": "1"], catalogue: bare)
        }
        #expect(
            error?.faults.map { "\($0.line):\($0.column) \($0.message)" } == [
                "3:57 there is no ICE policy instance named 'private'",
                "3:57 there is no ICE policy instance named 'all'",
            ])
    }

    @Test(
        "have one word, and what was meant is said",
        arguments: [
            ("Auto", "expected auto or { inbound: NAME, outbound: NAME }, found 'Auto'", "did you mean 'auto'?"),
            (
                "private", "expected auto or { inbound: NAME, outbound: NAME }, found 'private'",
                "for both ways alike, { inbound: private, outbound: private }"
            ),
            ("[auto]", "expected keys and values, found a list", ""),
        ])
    func misspelled(ice: String, message: String, help: String) {
        let error = #expect(throws: Faults.self) { try load(text.replacing("ice: auto", with: "ice: \(ice)")) }
        #expect(error?.faults.map(\.message) == [message])
        #expect(error?.faults.first?.help ?? "" == help)
    }

    private let text = """
        version: 1
        pipelines: { e: { type: echo } }
        tenants: { t: { match: any, allow_anonymous: true, ice: auto, pipeline: e } }
        """
}
