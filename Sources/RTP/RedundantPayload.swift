internal import Wire

/// The payload of a RED packet (RFC 2198 §3): the frame that it was sent for, and copies of frames sent before.
///
///     0                   1                    2                   3
///     0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |1|   block PT  |  timestamp offset         |   block length    |   for each redundant block
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |0|   block PT  |   of the primary block, then the data of all blocks in the same order
///     +-+-+-+-+-+-+-+-+
///
/// What is in a block is for its payload type to say; one of a type that was not agreed is to be left alone.
package struct RedundantPayload: Sendable {
    /// Browsers send one or two; a payload with more than this is refused.
    package static let maximumBlocks = 8

    /// A redundant block.
    package struct Block: Equatable, Sendable {
        package let payloadType: UInt8
        /// To subtract from the packet's timestamp; 1 … 16 383 ticks of its clock.
        package let timestampOffset: UInt32
        /// Where its data is in the payload; a block may be empty.
        package let range: Range<Int>
    }

    package let primaryPayloadType: UInt8
    /// Where the data of the primary block is in the payload; may be empty.
    package let primary: Range<Int>
    /// How many redundant blocks there are, those too that `block` gives nil for.
    package let count: Int
    private let blocks: [8 of Block?]

    /// - Parameter payload: of an RTP packet, without its padding.
    /// - Returns: nil when the headers do not end, or promise more than there is.
    package init?(parsing payload: Span<UInt8>) {
        var (headers, count) = ([8 of UInt32](repeating: 0), 0)
        var start = 0
        while let first = payload.byte(at: start), first & 0x80 != 0 {
            guard count < Self.maximumBlocks, let header = payload.uint32(at: start) else { return nil }
            headers[count] = header
            count += 1
            start += 4
        }
        guard let last = payload.byte(at: start) else { return nil }
        start += 1

        var blocks = [8 of Block?](repeating: nil)
        var offsetBefore: UInt32 = .max
        for index in 0..<count {
            let header = headers[index]
            let (offset, length) = (header >> 10 & 0x3fff, Int(header & 0x3ff))
            guard length <= payload.count - start else { return nil }
            if offset > 0, offset < offsetBefore {
                blocks[index] = Block(
                    payloadType: UInt8(header >> 24 & 0x7f), timestampOffset: offset, range: start..<start + length)
                offsetBefore = offset
            }
            start += length
        }
        (primaryPayloadType, primary) = (last, start..<payload.count)
        (self.count, self.blocks) = (count, blocks)
    }

    /// The redundant block at `index`, 0 being the first on the wire, the oldest.
    ///
    /// - Returns: nil past `count`, and for a block that is not older than the primary and younger than the blocks
    ///   before it: played in order it would go back in time.
    package func block(_ index: Int) -> Block? {
        index >= 0 && index < count ? blocks[index] : nil
    }
}
