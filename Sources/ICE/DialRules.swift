package import Wire

/// Which remote addresses may ever be sent to. Signalled and peer-reflexive candidates alike are held against it.
///
/// A peer names the addresses an agent sends checks to, so without this list a gateway is a probe into its own network
/// (RFC 8445 §19.5). No candidate type lifts it.
package struct DialRules: Sendable {
    /// Whether 127.0.0.0/8 and ::1 may be dialled: for a gateway that itself lives on loopback.
    package let allowsLoopback: Bool
    /// The gateway's own services and its back ends. Port 0 stands for every port of the host.
    package let forbidden: [SocketAddress]
    /// Ports below this are never dialled: DNS, NTP and the like would answer.
    package let lowestPort: UInt16

    package init(allowsLoopback: Bool = false, forbidden: [SocketAddress] = [], lowestPort: UInt16 = 1024) {
        self.allowsLoopback = allowsLoopback
        self.forbidden = forbidden.map(\.unwrapped)
        self.lowestPort = lowestPort
    }

    /// Whether a datagram may be sent to `remote`, in whatever form it spells its address.
    package func allows(_ remote: SocketAddress) -> Bool {
        let address = remote.unwrapped
        guard address.port >= max(lowestPort, 1), !Self.isNeverUnicast(address), !Self.isMetadata(address) else {
            return false
        }
        guard allowsLoopback || !address.isLoopback else { return false }
        return !forbidden.contains { service in
            service.hasHost(of: address) && (service.port == 0 || service.port == address.port)
        }
    }

    private static func isNeverUnicast(_ address: SocketAddress) -> Bool {
        if address.isUnspecified || address.isMulticast || address.isLinkLocal || address.isReservedOrBroadcast {
            return true
        }
        guard address.family == .ipv6 else { return false }
        return address.high >> 54 == 0x3fb  // fec0::/10, site-local (RFC 3879)
            || address.high == 0x0100_0000_0000_0000  // 100::/64, discard-only (RFC 6666)
            || address.high >> 16 == 0x0064_ff9b_0001  // 64:ff9b:1::/48, local NAT64 (RFC 8215): hides an IPv4 address
            || (address.high == 0 && address.low >> 32 == 0xffff_0000)  // ::ffff:0:0:0/96, SIIT (RFC 2765): the same
            || address.low >> 32 & 0xfdff_ffff == 0x5efe  // ISATAP (RFC 5214 §6.1): the same
    }

    /// Metadata services of clouds that do not sit on 169.254.0.0/16.
    private static func isMetadata(_ address: SocketAddress) -> Bool {
        switch (address.family, address.high, address.low) {
        case (.ipv4, _, 0x6464_64c8),  // 100.100.100.200, Alibaba
            (.ipv4, _, 0xc000_00c0),  // 192.0.0.192, Oracle
            (.ipv4, _, 0xa83f_8110),  // 168.63.129.16, Azure
            (.ipv6, 0xfd00_0ec2_0000_0000, 0x254),  // AWS
            (.ipv6, 0xfd20_00ce_0000_0000, 0x254):  // Google
            true
        default: false
        }
    }
}
