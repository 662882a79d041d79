import ICE
import Testing
import Wire

@Suite("Dial rules, RFC 8445 §19.5")
struct DialRulesTests {
    static let rules = DialRules(forbidden: [address("203.0.113.80", 0), address("2001:db8:5::80", 0)])

    @Test("forbidden in every spelling", arguments: Forbidden.hosts)
    func forbidden(host: String) throws {
        #expect(!Self.rules.allows(try #require(SocketAddress(host, port: 40000))))
    }

    @Test("nothing below 69 spellings is tried")
    func count() { #expect(Set(Forbidden.hosts).count >= 69) }

    @Test(
        "allowed",
        arguments: [
            "192.0.2.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "126.255.255.255",
            "128.0.0.1",
            "223.255.255.255", "169.253.1.1", "2001:db8::1", "fd00::1", "2a00:1450::1", "::ffff:192.0.2.1",
            "64:ff9b::808:808",
        ])
    func allowed(host: String) throws {
        #expect(Self.rules.allows(try #require(SocketAddress(host, port: 1024))))
    }

    @Test(
        "ports below 1024 are forbidden, 0 always",
        arguments: [(0, false), (1, false), (53, false), (1023, false), (1024, true)])
    func ports(port: UInt16, isAllowed: Bool) {
        #expect(Self.rules.allows(address("192.0.2.1", port)) == isAllowed)
        #expect(DialRules(lowestPort: 0).allows(address("192.0.2.1", port)) == (port > 0))
    }

    @Test("loopback is allowed where it is asked for, and a service may be forbidden by port")
    func loopback() {
        let rules = DialRules(
            allowsLoopback: true, forbidden: [address("::ffff:127.0.0.1", 8080), address("::1", 8080)])
        #expect(rules.allows(address("127.0.0.1", 40000)))
        #expect(rules.allows(address("::1", 40000)))
        #expect(!rules.allows(address("127.0.0.1", 8080)))
        #expect(!rules.allows(address("::1", 8080)))
        #expect(!rules.allows(address("169.254.169.254", 40000)))
    }
}
