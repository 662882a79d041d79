/// Big-endian (network order) reads that return nil past the end, for parsers that must not trap on what a peer sends.
extension Span where Element == UInt8 {
    package func byte(at offset: Int) -> UInt8? {
        offset >= 0 && offset < count ? self[offset] : nil
    }

    package func uint16(at offset: Int) -> UInt16? {
        guard offset >= 0, offset <= count &- 2 else { return nil }
        return UInt16(self[offset]) << 8 | UInt16(self[offset &+ 1])
    }

    package func uint24(at offset: Int) -> UInt32? {
        guard offset >= 0, offset <= count &- 3 else { return nil }
        return UInt32(self[offset]) << 16 | UInt32(self[offset &+ 1]) << 8 | UInt32(self[offset &+ 2])
    }

    package func uint32(at offset: Int) -> UInt32? {
        guard let high = uint16(at: offset), let low = uint16(at: offset &+ 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    package func uint64(at offset: Int) -> UInt64? {
        guard let high = uint32(at: offset), let low = uint32(at: offset &+ 4) else { return nil }
        return UInt64(high) << 32 | UInt64(low)
    }

    /// A copy of the bytes in `range`, nil when any of them lies outside.
    package func bytes(in range: Range<Int>) -> [UInt8]? {
        guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
        return [UInt8](capacity: range.count) { output in
            for index in range {
                output.append(self[index])
            }
        }
    }
}

/// Big-endian writes.
extension [UInt8] {
    package mutating func append(uint16 value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    package mutating func append(uint24 value: UInt32) {
        append(UInt8(truncatingIfNeeded: value >> 16))
        append(uint16: UInt16(truncatingIfNeeded: value))
    }

    package mutating func append(uint32 value: UInt32) {
        append(uint16: UInt16(truncatingIfNeeded: value >> 16))
        append(uint16: UInt16(truncatingIfNeeded: value))
    }

    package mutating func append(uint64 value: UInt64) {
        append(uint32: UInt32(truncatingIfNeeded: value >> 32))
        append(uint32: UInt32(truncatingIfNeeded: value))
    }

    /// Overwrites two bytes; does nothing where they would not fit.
    package mutating func set(uint16 value: UInt16, at offset: Int) {
        guard offset >= 0, offset <= count &- 2 else { return }
        self[offset] = UInt8(truncatingIfNeeded: value >> 8)
        self[offset &+ 1] = UInt8(truncatingIfNeeded: value)
    }

    /// Overwrites four bytes; does nothing where they would not fit.
    package mutating func set(uint32 value: UInt32, at offset: Int) {
        guard offset >= 0, offset <= count &- 4 else { return }
        set(uint16: UInt16(truncatingIfNeeded: value >> 16), at: offset)
        set(uint16: UInt16(truncatingIfNeeded: value), at: offset &+ 2)
    }
}
