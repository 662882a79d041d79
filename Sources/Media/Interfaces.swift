import Glibc
package import Wire

/// The machine's own addresses.
package enum Interfaces {
    /// Addresses that a peer elsewhere could reach: of interfaces that are up, without loopback and link-local; loopback if
    /// there are no others.
    package static func usableAddresses() -> [SocketAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return [] }
        defer { unsafe freeifaddrs(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let interface = unsafe next?.pointee {
            unsafe next = interface.ifa_next
            guard unsafe interface.ifa_flags & UInt32(IFF_UP) != 0,
                let address = unsafe interface.ifa_addr.flatMap({ unsafe socketAddress($0) }),
                !address.isLinkLocal, !addresses.contains(address)
            else { continue }
            addresses.append(address)
        }
        let reachable = addresses.filter { !$0.isLoopback }
        return reachable.isEmpty ? addresses : reachable
    }

    /// What a name stands for, four addresses at most, in the order in which a connection would try them; none when the name
    /// leads nowhere. Blocks for as long as a name server takes.
    package static func addresses(of host: String) -> [SocketAddress] {
        if let address = SocketAddress(host, port: 0) { return [address] }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next?.pointee {
            unsafe next = entry.ai_next
            guard let address = unsafe entry.ai_addr.flatMap({ unsafe socketAddress($0) }),
                !addresses.contains(address), addresses.count < 4
            else { continue }
            addresses.append(address)
        }
        return addresses
    }

    private static func socketAddress(_ address: UnsafeMutablePointer<sockaddr>) -> SocketAddress? {
        switch unsafe Int32(address.pointee.sa_family) {
        case AF_INET:
            return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                unsafe SocketAddress(ipv4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr), port: 0)
            }
        case AF_INET6:
            return unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                let bytes = unsafe withUnsafeBytes(of: $0.pointee.sin6_addr) { unsafe [UInt8]($0) }
                func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
                return SocketAddress(ipv6: word(bytes[..<8]), word(bytes[8...]), port: 0)
            }
        default: return nil
        }
    }
}
