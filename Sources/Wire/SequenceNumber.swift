/// Serial arithmetic on 16-bit RTP sequence numbers (RFC 3550 §5.1, RFC 1982).
extension UInt16 {
    /// How many steps `self` lies ahead of `other`, the short way round: -32768 … 32767.
    package func steps(after other: UInt16) -> Int {
        Int(Int16(bitPattern: self &- other))
    }
}

/// Turns 16-bit sequence numbers into a count that does not wrap (RFC 3550 appendix A.1).
package struct ExtendedSequence: Sendable {
    /// The highest extended number so far; nil before the first.
    package private(set) var highest: Int64?

    package init() {}

    /// The extended number of `sequenceNumber`, taken to be within half the range of the highest one seen.
    package mutating func extend(_ sequenceNumber: UInt16) -> Int64 {
        guard let highest else {
            self.highest = Int64(sequenceNumber)
            return Int64(sequenceNumber)
        }
        let extended = highest &+ Int64(sequenceNumber.steps(after: UInt16(truncatingIfNeeded: highest)))
        if extended > highest {
            self.highest = extended
        }
        return extended
    }
}
