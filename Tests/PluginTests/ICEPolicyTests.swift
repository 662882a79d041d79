import ICEPolicies
import PatchbayPlugin
import Testing

@Suite("ICE policies")
struct ICEPolicyTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var kind: Candidate.Kind
        var address: String
        /// Under none, private, public and all.
        var kept: [Bool]

        init(_ kind: Candidate.Kind, _ address: String, _ kept: Bool...) {
            (self.kind, self.address, self.kept) = (kind, address, kept)
        }

        var testDescription: String { "\(kind.rawValue) \(address)" }
    }

    @Test(
        "keep what their table says, in both directions",
        arguments: [
            Row(.host, "8.8.8.8", true, true, false, false),
            Row(.host, "10.0.0.1", true, false, true, false),
            Row(.host, "192.168.1.10", true, false, true, false),
            Row(.host, "127.0.0.1", true, false, true, false),
            Row(.host, "169.254.1.1", true, false, true, false),
            Row(.host, "fe80::1", true, false, true, false),
            Row(.host, "100.64.1.1", true, false, true, false),
            Row(.serverReflexive, "8.8.8.8", true, true, false, false),
            Row(.serverReflexive, "10.0.0.1", true, false, true, false),
            Row(.peerReflexive, "8.8.8.8", true, true, false, false),
            Row(.peerReflexive, "10.0.0.1", true, false, true, false),
            Row(.host, "abc.local", true, true, false, false),
            Row(.relay, "10.0.0.1", true, true, true, true),
            Row(.relay, "169.254.169.254", true, true, true, true),
            Row(.relay, "100.64.1.10", true, true, true, true),
            Row(.relay, "8.8.8.8", true, true, true, true),
            Row(.relay, "relay.example.org", true, true, true, true),
            Row(.host, "", true, true, false, false),
            Row(.host, "garbage", true, true, false, false),
            Row(.host, "224.0.0.1", true, true, false, false),
            Row(.host, "ff02::1", true, true, false, false),
        ])
    func table(row: Row) throws {
        let policies: [any ICEPolicyPlugin] = [
            try NoneICEPolicy.watched(), try PrivateICEPolicy.watched(), try PublicICEPolicy.watched(),
            try AllICEPolicy.watched(),
        ]
        for transport in ["udp", "tcp"] {
            let candidate = Candidate(kind: row.kind, address: row.address, port: 4_000, transport: transport)
            #expect(policies.map { $0.keeps(candidate, .inbound) } == row.kept)
            #expect(policies.map { $0.keeps(candidate, .outbound) } == row.kept)
        }
        #expect(policies.map(\.onlyRelays) == [false, false, false, true])
    }

    @Test(
        "take these addresses for private",
        arguments: [
            "0.0.0.0", "0.255.255.255", "10.0.0.0", "192.168.1.10", "10.255.255.255", "100.64.0.0", "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0",
            "192.0.0.8",
            "192.0.0.11", "192.0.0.255", "192.0.2.0", "192.0.2.1", "192.0.2.255", "192.168.0.0", "192.168.255.255",
            "198.18.0.0", "198.19.255.255",
            "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "240.0.0.0", "255.255.255.255", "::",
            "::1",
            "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
            "::ffff:a00:1",
            "64:ff9b:1::", "64:ff9b:1:ffff::1", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "100::", "100::ffff",
            "100::ffff:ffff:ffff:ffff", "2001::1", "2001:db8::1",
            "2001:db8:ffff::1", "2002::1",
            "2002:808:808::",
            "fc00::1", "fd00::1", "fdff:ffff::", "fe80::1", "fe80::1%eth0", "febf::1", "FE80::1", "2001:1::3",
            "2001:2::1",
        ])
    func privateAddresses(address: String) throws {
        #expect(try keptByPublic(address))
        #expect(try !keptByPrivate(address))
    }

    @Test(
        "take these addresses, and whatever is not an address, for public",
        arguments: [
            "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
            "169.253.255.255", "172.15.255.255", "172.32.0.1", "192.0.0.9", "192.0.0.10", "192.0.1.0", "192.0.1.255",
            "192.0.3.0", "192.88.99.1",
            "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0",
            "203.0.112.255", "203.0.114.0", "223.255.255.255",
            "224.0.0.1",
            "239.255.255.255", "ff02::1", "::2", "::ffff:100.64.0.1", "::ffff:8.8.8.8", "64:ff9b::a00:1",
            "64:ff9b:2::1", "100:0:0:1::1", "fec0::1",
            "2001:1::1", "2001:1::2", "2001:3::1", "2001:4:112::1", "2001:20::1", "2001:30::1", "2001:200::1",
            "2001:db9::1", "2003::1", "3fff::1", "fe00::1", "host.local", "localhost", "010.0.0.1", "10.1",
            "0x7f000001",
            "10.0.0.1 ", " 10.0.0.1", "10.0.0.1\0", "10.0.0", "10.0.0.256", "10.0.0.1%eth0", "fe80::1%", "fe80::1%a%b",
            "[fe80::1]", "127.0.0.1:80",
        ])
    func publicAddresses(address: String) throws {
        #expect(try !keptByPublic(address))
        #expect(try keptByPrivate(address))
    }

    private func keptByPublic(_ address: String) throws -> Bool {
        try PublicICEPolicy.watched().keeps(Candidate(kind: .host, address: address, port: 1), .inbound)
    }

    private func keptByPrivate(_ address: String) throws -> Bool {
        try PrivateICEPolicy.watched().keeps(Candidate(kind: .host, address: address, port: 1), .inbound)
    }
}
