import RTP
import Testing

/// Sequence number 0x1234, timestamp 0x01020304, SSRC 0xa0b0c0d0, payload type 111, marker.
private func packet(_ first: UInt8, _ rest: [UInt8] = []) -> [UInt8] {
    [first, 0xef, 0x12, 0x34, 1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0] + rest
}

@Suite("RTP header, RFC 3550 §5.1")
struct RTPHeaderTests {
    @Test("the fixed fields are read")
    func fields() throws {
        let parsed = try header(packet(0x80, [7, 8, 9]))
        #expect(parsed.marker && parsed.payloadType == 111 && parsed.sequenceNumber == 0x1234)
        #expect(parsed.timestamp == 0x0102_0304 && parsed.ssrc == 0xa0b0_c0d0)
        #expect(parsed.payload == 12..<15 && parsed.extensions.isEmpty)
    }

    @Test("CSRCs, extension and padding are left out of the payload")
    func payload() throws {
        #expect(try header(packet(0x82, Array(repeating: 0, count: 8) + [1])).payload == 20..<21)
        #expect(try header(packet(0x90, [0xbe, 0xde, 0, 1, 0, 0, 0, 0, 1])).payload == 20..<21)
        #expect(try header(packet(0xa0, [1, 2, 0, 2])).payload == 12..<14)
        #expect(try header(packet(0xa0, [0, 0, 3])).payload == 12..<12, "padding only")
        let all = packet(0xb1, [0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x10, 0x85, 0, 0, 9, 9, 1])
        #expect(try header(all).payload == 24..<26)
        #expect(try header(all).extensions == 20..<24)
    }

    @Test(
        "what is not RTP is refused",
        arguments: [
            ([], RTPError.tooShort(count: 0)), (Array(packet(0x80).dropLast()), .tooShort(count: 11)),
            (packet(0x40), .version(1)), (packet(0xc0), .version(3)), (packet(0x81), .truncated(needed: 16, count: 12)),
            (packet(0x8f, Array(repeating: 0, count: 59)), .truncated(needed: 72, count: 71)),
            (packet(0x90, [0xbe, 0xde, 0]), .truncated(needed: 16, count: 15)),
            (packet(0x90, [0xbe, 0xde, 0, 1, 0, 0, 0]), .truncated(needed: 20, count: 19)),
            (packet(0x90, [0xbe, 0xde, 0xff, 0xff]), .truncated(needed: 262_156, count: 16)),
            (packet(0xa0, [1, 0]), .padding(0)), (packet(0xa0, [1, 3]), .padding(3)),
        ])
    func malformed(bytes: [UInt8], expected: RTPError) {
        #expect(throws: expected) { () throws(RTPError) in try header(bytes) }
    }

    @Test("one-byte header extensions, RFC 8285 §4.2: padding passed over, id 15 ends it")
    func oneByteExtensions() throws {
        let bytes = packet(0x90, [0xbe, 0xde, 0, 3, 0x10, 0x85, 0, 0, 0x41, 0x61, 0x62, 0, 0xf0, 0x22, 0x21, 0])
        let parsed = try header(bytes)
        #expect(parsed.audioLevel(id: 1, in: bytes.span) == AudioLevel(level: 5, voice: true))
        #expect(parsed.audioLevel(id: 2, in: bytes.span) == nil, "an id that the packet does not have")
        #expect(parsed.mid(id: 4, in: bytes.span) == "ab")
        #expect(parsed.extensionData(id: 2, in: bytes.span) == nil)
        #expect(parsed.extensionData(id: 0, in: bytes.span) == nil)
        #expect(parsed.extensionData(id: 15, in: bytes.span) == nil)
    }

    @Test("two-byte header extensions, RFC 8285 §4.3")
    func twoByteExtensions() throws {
        let bytes = packet(0x90, [0x10, 0x05, 0, 3, 0x1e, 1, 0x7f, 0, 5, 0, 200, 2, 0x61, 0x62, 9, 9])
        let parsed = try header(bytes)
        #expect(parsed.audioLevel(id: 0x1e, in: bytes.span) == AudioLevel(level: 127, voice: false))
        #expect(parsed.mid(id: 200, in: bytes.span) == "ab")
        #expect(parsed.audioLevel(id: 1, in: bytes.span) == nil, "an id that the packet does not have")
        #expect(parsed.extensionData(id: 5, in: bytes.span)?.isEmpty == true)
        #expect(parsed.audioLevel(id: 5, in: bytes.span) == nil)
        #expect(parsed.extensionData(id: 9, in: bytes.span) == nil, "length reaches past the end")
    }

    @Test("an extension that reaches past its end, and an unknown profile, give nothing")
    func brokenExtensions() throws {
        let long = packet(0x90, [0xbe, 0xde, 0, 1, 0x1f, 1, 2, 3, 4, 5, 6, 7])
        #expect(try header(long).extensionData(id: 1, in: long.span) == nil)
        let foreign = packet(0x90, [0x12, 0x34, 0, 1, 0x10, 1, 0, 0])
        #expect(try header(foreign).extensionData(id: 1, in: foreign.span) == nil)
        let other = packet(0x90, [0xbe, 0xde, 0, 1, 0x10, 1, 0, 0])
        #expect(try header(other).extensionData(id: 1, in: [UInt8]().span) == nil, "another packet's header")
    }

    @Test("what is written is read again", arguments: [nil, 1, 14, 15] as [UInt8?])
    func writing(id: UInt8?) throws {
        var bytes: [UInt8] = [1, 2, 3]
        RTPHeader.write(
            marker: true, payloadType: 111, sequenceNumber: 0xffff, timestamp: .max, ssrc: 0x8000_0001,
            audioLevel: id.map { ($0, AudioLevel(level: 42, voice: true)) }, into: &bytes)
        bytes.append(9)
        let parsed = try header(bytes)
        #expect(parsed.marker && parsed.payloadType == 111 && parsed.sequenceNumber == 0xffff)
        #expect(parsed.timestamp == .max && parsed.ssrc == 0x8000_0001)
        let fits = id == 1 || id == 14
        #expect(parsed.payload == (fits ? 20..<21 : 12..<13))
        #expect(parsed.audioLevel(id: id ?? 1, in: bytes.span) == (fits ? AudioLevel(level: 42, voice: true) : nil))
    }
}

@Suite("Demultiplexing, RFC 7983")
struct PacketKindTests {
    @Test(
        "the first byte tells the protocol",
        arguments: [
            (0, PacketKind.stun), (3, .stun), (4, .unknown), (19, .unknown), (20, .dtls), (63, .dtls),
            (64, .channelData),
            (79, .channelData), (80, .unknown), (127, .unknown), (128, .rtp), (191, .rtp), (192, .unknown),
            (255, .unknown),
        ] as [(UInt8, PacketKind)])
    func firstByte(byte: UInt8, expected: PacketKind) {
        #expect(PacketKind(firstByte: byte, secondByte: 111) == expected)
    }

    @Test("the second byte tells RTCP from RTP, RFC 5761 §4")
    func secondByte() {
        let rtcp = (0...255 as ClosedRange<UInt8>).filter { PacketKind(firstByte: 128, secondByte: $0) == .rtcp }
        #expect(rtcp == Array(192...223))
        #expect(PacketKind([0x80, 200].span) == .rtcp)
        #expect(PacketKind([0x80].span) == .unknown && PacketKind([UInt8]().span) == .unknown)
    }
}
