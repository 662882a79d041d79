/// A STUN transaction id, 96 bits (RFC 8489 §5).
///
/// The first 32 bits are kept apart: whoever shares one port between many agents puts the agent's tag there and finds
/// the agent of a response without a table of transactions.
package struct TransactionID: Hashable, Sendable {
    package var tag: UInt32
    package var rest: UInt64

    package init(tag: UInt32, rest: UInt64) {
        self.tag = tag
        self.rest = rest
    }
}
