import PatchbayConfig
import Signaling
import Testing

@testable import PatchbayKit

@Suite("The client's address behind reverse proxies")
struct ClientAddressTests {
    private static func request(from address: String, forwarded: String? = nil) -> Request {
        Request(
            method: "GET", rawPath: "/", path: [], headers: forwarded.map { ["x-forwarded-for": $0] } ?? [:],
            remoteAddress: address)
    }

    @Test(
        "the last address that is no proxy's counts, and only a proxy is believed",
        arguments: [
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"), ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
            ("10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("10.1.2.3", "1.1.1.1,198.51.100.1, 10.9.9.9", "198.51.100.1"),
            ("10.1.2.3", "198.51.100.1:5678", "198.51.100.1"), ("10.1.2.3", "[2001:db8::7]:5678", "2001:db8::7"),
            ("10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"), ("10.1.2.3", nil, "10.1.2.3"),
            ("10.1.2.3", "nonsense", "10.1.2.3"),
            ("10.1.2.3", "1.1.1.1, nonsense, 10.9.9.9", "10.9.9.9"), ("fd00::1", "2001:db8::7", "2001:db8::7"),
            ("fe00::1", "2001:db8::7", "fe00::1"), ("192.0.2.1", "198.51.100.1", "198.51.100.1"),
            ("192.0.2.2", "198.51.100.1", "192.0.2.2"),
        ] as [(String, String?, String)])
    func forwarded(peer: String, field: String?, client: String) {
        let proxies = ["10.0.0.0/8", "fd00::/16", "192.0.2.1"].compactMap(AddressRange.decode)
        #expect(proxies.count == 3)
        #expect(Self.request(from: peer, forwarded: field).seen(through: proxies).remoteAddress == client)
    }

    @Test("limits count IPv6 by networks of 64 bits")
    func networks() {
        #expect(Self.request(from: "192.0.2.1").remoteNetwork == "192.0.2.1")
        #expect(Self.request(from: "2001:db8:1:2:3:4:5:6").remoteNetwork == "2001:db8:1:2::/64")
        #expect(Self.request(from: "2001:db8:1:2::9").remoteNetwork == "2001:db8:1:2::/64")
    }

    @Test(
        "ranges are read strictly",
        arguments: [
            "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0/8", "example.org", "fd00::/129", "10.0.0.0/8/8", "",
        ])
    func badRanges(text: String) {
        #expect(AddressRange.decode(text) == nil)
    }

    @Test("a prefix of no bits is every address of its family")
    func wholeFamily() throws {
        let all = try #require(AddressRange.decode("0.0.0.0/0"))
        #expect(Self.request(from: "8.8.8.8", forwarded: "1.1.1.1").seen(through: [all]).remoteAddress == "1.1.1.1")
        #expect(Self.request(from: "::1", forwarded: "1.1.1.1").seen(through: [all]).remoteAddress == "::1")
    }
}
