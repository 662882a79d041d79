import RTP
import Testing

private func parse(_ payload: [UInt8]) -> RedundantPayload? {
    RedundantPayload(parsing: payload.span)
}

/// A header of a redundant block of payload type 111.
private func header(offset: UInt32, length: UInt32) -> [UInt8] {
    let word = 0xef00_0000 | offset << 10 | length
    return [UInt8(word >> 24), UInt8(word >> 16 & 0xff), UInt8(word >> 8 & 0xff), UInt8(word & 0xff)]
}

@Suite("RED, RFC 2198")
struct RedundantPayloadTests {
    /// The packet of RFC 2198 §4: DVI4 (5) of 84 bytes, and a copy of 20 ms before as LPC (7) of 14 bytes.
    @Test("the RFC's example is read")
    func example() throws {
        let copy = [UInt8](repeating: 1, count: 14), frame = [UInt8](repeating: 2, count: 84)
        let red = try #require(parse([0x87, 0x02, 0x80, 0x0e, 0x05] + copy + frame))
        #expect(red.primaryPayloadType == 5 && red.primary == 19..<103 && red.count == 1)
        let block = try #require(red.block(0))
        #expect(block.payloadType == 7 && block.timestampOffset == 160 && block.range == 5..<19)
        #expect(red.block(1) == nil && red.block(-1) == nil && red.block(.max) == nil && red.block(.min) == nil)
    }

    @Test("blocks are in wire order, with the largest offset and length that fit")
    func twoBlocks() throws {
        let data = [UInt8](repeating: 0, count: 1023 + 2 + 3)
        let red = try #require(parse([0xef, 0xff, 0xff, 0xff, 0xfe, 0x0f, 0x00, 0x02, 0x6f] + data))
        #expect(red.count == 2 && red.primaryPayloadType == 111)
        #expect(red.block(0)?.timestampOffset == 16_383 && red.block(0)?.range == 9..<1032)
        #expect(red.block(1)?.timestampOffset == 960 && red.block(1)?.range == 1032..<1034)
        #expect(red.block(1)?.payloadType == 126)
        #expect(red.primary == 1034..<1037)
    }

    @Test("no redundancy, and blocks without data, are legal")
    func empty() throws {
        let alone = try #require(parse([0x6f, 1, 2]))
        #expect(alone.count == 0 && alone.primary == 1..<3 && alone.block(0) == nil)
        #expect(parse([0x6f])?.primary == 1..<1)
        let red = try #require(parse(header(offset: 960, length: 0) + [0x6f, 1]))
        #expect(red.block(0)?.range == 5..<5 && red.primary == 5..<6)
    }

    @Test(
        "a block that goes back in time is left out, its data passed over",
        arguments: [
            ([1920, 960], [1920, 960]), ([960, 1920], [960, nil]), ([960, 960], [960, nil]), ([0], [nil]),
            ([0, 960], [nil, 960]), ([1920, 0, 960], [1920, nil, 960]),
            ([960, 2880, 1920, 480], [960, nil, nil, 480]),
        ] as [([UInt32], [UInt32?])])
    func inverted(offsets: [UInt32], expected: [UInt32?]) throws {
        let headers = offsets.flatMap { header(offset: $0, length: 2) }
        let data = [UInt8](repeating: 0, count: offsets.count * 2)
        let red = try #require(parse(headers + [0x6f] + data + [9]))
        #expect(red.count == offsets.count)
        let start = headers.count + 1
        for (index, offset) in expected.enumerated() {
            #expect(red.block(index)?.timestampOffset == offset)
            if offset != nil {
                #expect(red.block(index)?.range == start + index * 2..<start + index * 2 + 2)
            }
        }
        #expect(red.primary.count == 1)
    }

    @Test("eight blocks are the most that is taken", arguments: [(8, true), (9, false)])
    func bound(count: Int, isTaken: Bool) {
        let headers = (0..<count).flatMap { header(offset: UInt32(960 * (count - $0)), length: 0) }
        #expect((parse(headers + [0x6f])?.count == count) == isTaken)
    }

    @Test(
        "what does not hold together is refused",
        arguments: [
            [], [0x80], [0xef, 0x0f, 0], [0xef, 0x0f, 0, 0],  // the headers do not end
            [0xef, 0x0f, 0, 1, 0x6f], [0xef, 0x0f, 0, 4, 0x6f, 1, 2, 3], [0xef, 0x0f, 3, 0xff, 0x6f, 1],
            [0xef, 0x1e, 0, 2, 0xef, 0x0f, 0, 2, 0x6f, 1, 2, 3], [0xef, 0, 0, 2, 0x6f, 1],
            [UInt8](repeating: 0xff, count: 1200), [UInt8](repeating: 0x80, count: 33),
        ] as [[UInt8]])
    func malformed(payload: [UInt8]) {
        #expect(parse(payload) == nil)
    }
}
