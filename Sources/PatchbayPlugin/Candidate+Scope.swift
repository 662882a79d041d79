internal import Glibc

/// Where an address can be reached from.
public enum AddressScope: Sendable, Hashable {
    /// From a range that the public Internet does not route: what Python's `ipaddress` calls private, loopback or
    /// link-local.
    case `private`
    /// The shared space of carrier NATs, 100.64.0.0/10 (RFC 6598).
    case shared
    /// Anything else: also a name, a multicast address, and what is no address at all.
    case `public`

    /// The scope of an IP literal in its strict spelling; an IPv6 zone may follow.
    public init(_ text: String) {
        if let address = IPv4(text) {
            self = address.isIn(100, 64, 0, 0, length: 10) ? .shared : address.isPrivate ? .private : .public
        } else if let address = IPv6(text) {
            // An IPv4-mapped address (RFC 4291 §2.5.5.2) is as private as the one inside, but for the shared space.
            self = address.mapped?.isPrivate ?? address.isPrivate ? .private : .public
        } else {
            self = .public
        }
    }
}

extension Candidate {
    /// Whether its address is one that the public Internet does not route.
    public var isPrivate: Bool { AddressScope(address) != .public }
}

private struct IPv4 {
    let value: UInt32

    init(value: UInt32) {
        self.value = value
    }

    init?(_ text: String) {
        guard let bytes = literal(text, family: AF_INET, count: 4) else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    func isIn(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, length: UInt32) -> Bool {
        (value ^ (a << 24 | b << 16 | c << 8 | d)) >> (32 - length) == 0
    }

    var isPrivate: Bool {
        isIn(0, 0, 0, 0, length: 8) || isIn(10, 0, 0, 0, length: 8) || isIn(127, 0, 0, 0, length: 8)
            || isIn(169, 254, 0, 0, length: 16) || isIn(172, 16, 0, 0, length: 12)
            || isIn(192, 0, 0, 0, length: 24) && !isIn(192, 0, 0, 9, length: 32) && !isIn(192, 0, 0, 10, length: 32)
            || isIn(192, 0, 2, 0, length: 24) || isIn(192, 168, 0, 0, length: 16) || isIn(198, 18, 0, 0, length: 15)
            || isIn(198, 51, 100, 0, length: 24) || isIn(203, 0, 113, 0, length: 24) || isIn(240, 0, 0, 0, length: 4)
    }
}

private struct IPv6 {
    private let high: UInt64
    private let low: UInt64

    init?(_ text: String) {
        let parts = text.split(separator: "%", omittingEmptySubsequences: false)
        guard parts.count == 1 || parts.count == 2 && !parts[1].isEmpty,
            let bytes = literal(String(parts[0]), family: AF_INET6, count: 16)
        else { return nil }
        high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
    }

    var mapped: IPv4? {
        high == 0 && low >> 32 == 0xffff ? IPv4(value: UInt32(truncatingIfNeeded: low)) : nil
    }

    /// Compares the first `length` bits, at most 64, with those of `prefix`.
    private func isIn(_ prefix: UInt64, length: UInt64) -> Bool {
        (high ^ prefix) >> (64 - length) == 0
    }

    var isPrivate: Bool {
        high == 0 && low <= 1 || isIn(0x0064_ff9b_0001_0000, length: 48) || isIn(0x0100_0000_0000_0000, length: 64)
            || isIn(0x2001_0000_0000_0000, length: 23) && !isGlobalProtocolAssignment
            || isIn(0x2001_0db8_0000_0000, length: 32) || isIn(0x2002_0000_0000_0000, length: 16)
            || isIn(0xfc00_0000_0000_0000, length: 7) || isIn(0xfe80_0000_0000_0000, length: 10)
    }

    /// The parts of 2001::/23 that IANA lists as globally reachable.
    private var isGlobalProtocolAssignment: Bool {
        high == 0x2001_0001_0000_0000 && (low == 1 || low == 2) || isIn(0x2001_0003_0000_0000, length: 32)
            || isIn(0x2001_0004_0112_0000, length: 48) || isIn(0x2001_0020_0000_0000, length: 28)
            || isIn(0x2001_0030_0000_0000, length: 28)
    }
}

/// The bytes of an address literal, in the strict spelling: no leading zeros, no short forms.
private func literal(_ text: String, family: Int32, count: Int) -> [UInt8]? {
    if text.utf8.contains(0) { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    let read = unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(family, text, $0.baseAddress) }
    return read == 1 ? bytes : nil
}
