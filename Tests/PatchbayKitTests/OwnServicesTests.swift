import PatchbayConfig
import Testing
import Wire

@testable import PatchbayKit

@Suite("The gateway's own services")
struct OwnServicesTests {
    private static let own = [SocketAddress(ipv4: 0x0a00_0002, port: 0), SocketAddress(ipv4: 0xcb00_7105, port: 0)]

    @Test(
        "are forbidden to candidates where they listen; on all addresses, at each of ours",
        arguments: [
            ("10.0.0.2", 8080, ["10.0.0.2:8080"]), ("192.0.2.9", 80, ["192.0.2.9:80"]), ("127.0.0.1", 0, []),
            ("0.0.0.0", 0, []),
            ("0.0.0.0", 8080, ["10.0.0.2:8080", "203.0.113.5:8080", "127.0.0.1:8080", "[::1]:8080"]),
            ("::", 8080, ["10.0.0.2:8080", "203.0.113.5:8080", "127.0.0.1:8080", "[::1]:8080"]),
        ] as [(String, UInt16, [String])])
    func forbidden(host: String, port: UInt16, services: [String]) {
        let found = Gateway.services([ListenAddress(host: host, port: port), nil], of: Self.own)
        #expect(found.map(\.description) == services)
    }

    @Test("and so is what the name of a listener stands for")
    func named() {
        let found = Gateway.services([ListenAddress(host: "localhost", port: 8080)], of: Self.own)
        #expect(found.map(\.description).contains("127.0.0.1:8080"))
        #expect(found.allSatisfy { $0.isLoopback })
    }
}
