/// An IP address and a UDP port: 16 address bytes, comparable and hashable without touching text or heap.
package struct SocketAddress: Hashable, Sendable {
    package enum Family: UInt8, Sendable {
        case ipv4, ipv6
    }

    package var family: Family
    /// The first 8 bytes of an IPv6 address, most significant first; 0 for IPv4.
    package var high: UInt64
    /// The last 8 bytes of an IPv6 address; an IPv4 address in the low 32 bits.
    package var low: UInt64
    package var port: UInt16

    package init(ipv4 address: UInt32, port: UInt16) {
        (family, high, low, self.port) = (.ipv4, 0, UInt64(address), port)
    }

    package init(ipv6 high: UInt64, _ low: UInt64, port: UInt16) {
        (family, self.high, self.low, self.port) = (.ipv6, high, low, port)
    }

    /// Parses an IP literal: dotted quad without leading zeros, or RFC 4291 §2.2 text. A name gives nil.
    package init?(_ host: some StringProtocol, port: UInt16) {
        let text = Array(host.utf8)
        if let address = Self.parseIPv4(text[...]) {
            self.init(ipv4: address, port: port)
        } else if let (high, low) = Self.parseIPv6(text) {
            self.init(ipv6: high, low, port: port)
        } else {
            return nil
        }
    }

    /// The address without the port, as RFC 5952 writes it.
    package var host: String {
        switch family {
        case .ipv4: Self.text(ipv4: UInt32(truncatingIfNeeded: low))
        case .ipv6: Self.text(ipv6: high, low)
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    package var description: String {
        family == .ipv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
    }
}

// MARK: - What kind of address

extension SocketAddress {
    /// The IPv4 address inside a v4-mapped, v4-compatible, 6to4, NAT64 or Teredo address, or the address itself.
    ///
    /// Lists of forbidden addresses are applied to this form, so that no other spelling slips past them.
    package var unwrapped: SocketAddress {
        guard family == .ipv6 else { return self }
        let embedded: UInt64? =
            if high == 0, low >> 32 == 0xffff || (low >> 32 == 0 && low > 1) {
                low & 0xffff_ffff  // ::ffff:0:0/96 (RFC 4291 §2.5.5.2), ::/96 (§2.5.5.1)
            } else if high >> 48 == 0x2002 {
                (high >> 16) & 0xffff_ffff  // RFC 3056
            } else if high == 0x0064_ff9b_0000_0000, low >> 32 == 0 {
                low & 0xffff_ffff  // RFC 6052
            } else if high >> 32 == 0x2001_0000 {
                ~low & 0xffff_ffff  // RFC 4380 §4
            } else {
                nil
            }
        return embedded.map { SocketAddress(ipv4: UInt32(truncatingIfNeeded: $0), port: port) } ?? self
    }

    /// The same host at another port.
    package func with(port: UInt16) -> SocketAddress {
        var address = self
        address.port = port
        return address
    }

    /// Whether the two differ in their port at most.
    package func hasHost(of other: SocketAddress) -> Bool {
        family == other.family && high == other.high && low == other.low
    }

    /// Whether both are of one subscriber's network: an IPv4 address, or the first 64 bits of an IPv6 address.
    package func hasNetwork(of other: SocketAddress) -> Bool {
        family == other.family && high == other.high && (family == .ipv6 || low == other.low)
    }

    package var isLoopback: Bool {
        family == .ipv4 ? low >> 24 == 127 : high == 0 && low == 1
    }

    package var isUnspecified: Bool {
        family == .ipv4 ? low >> 24 == 0 : high == 0 && low == 0
    }

    package var isMulticast: Bool {
        family == .ipv4 ? low >> 28 == 0xe : high >> 56 == 0xff
    }

    package var isLinkLocal: Bool {
        family == .ipv4 ? low >> 16 == 0xa9fe : high >> 54 == 0x3fa
    }

    /// 255.255.255.255, and the rest of 240.0.0.0/4, which nothing may be sent to either.
    package var isReservedOrBroadcast: Bool {
        family == .ipv4 && low >> 28 == 0xf
    }
}

// MARK: - Text

extension SocketAddress {
    private static func parseIPv4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var value: UInt32 = 0
            for digit in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                value = value * 10 + UInt32(digit - UInt8(ascii: "0"))
            }
            guard value <= 255 else { return nil }
            address = address << 8 | value
        }
        return address
    }

    private static func parseIPv6(_ text: [UInt8]) -> (UInt64, UInt64)? {
        guard text.count >= 2, text.count <= 45 else { return nil }
        var groups: [UInt16] = []
        var gap: Int?
        var index = 0
        if text[0] == UInt8(ascii: ":") {
            guard text[1] == UInt8(ascii: ":") else { return nil }
            gap = 0
            index = 2
        }
        while index < text.count {
            let end = text[index...].firstIndex(of: UInt8(ascii: ":")) ?? text.count
            let part = text[index..<end]
            if part.contains(UInt8(ascii: ".")) {
                guard end == text.count, let address = parseIPv4(part) else { return nil }
                groups += [UInt16(address >> 16), UInt16(address & 0xffff)]
                break
            }
            guard (1...4).contains(part.count) else { return nil }
            var value: UInt16 = 0
            for digit in part {
                guard let nibble = hexadecimal(digit) else { return nil }
                value = value << 4 | UInt16(nibble)
            }
            groups.append(value)
            guard groups.count <= 8 else { return nil }
            index = end + 1
            if end == text.count { break }
            guard index < text.count else { return nil }  // a single ':' at the end
            if text[index] == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            }
        }
        if let gap {
            guard groups.count <= 7 else { return nil }
            groups.insert(contentsOf: Array(repeating: 0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        func word(_ groups: ArraySlice<UInt16>) -> UInt64 { groups.reduce(0) { $0 << 16 | UInt64($1) } }
        return (word(groups[..<4]), word(groups[4...]))
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func text(ipv4 address: UInt32) -> String {
        "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
    }

    private static func text(ipv6 high: UInt64, _ low: UInt64) -> String {
        if high == 0, low >> 32 == 0xffff {
            return "::ffff:" + text(ipv4: UInt32(truncatingIfNeeded: low))
        }
        let groups = [high, low].flatMap { word in
            [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: word >> UInt64($0)) }
        }
        // RFC 5952 §4.2: the longest run of two or more zero groups becomes "::", the first of equals.
        var longest = 0..<0
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = end + 1
        }
        func joined(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !longest.isEmpty else { return joined(groups[...]) }
        return joined(groups[..<longest.lowerBound]) + "::" + joined(groups[longest.upperBound...])
    }
}
