import RTP
import Testing

private let block = ReportBlock(
    ssrc: 0x1111_2222, fractionLost: 64, cumulativeLost: -3, highestSequence: 0x0001_ffff, jitter: 480,
    lastSenderReport: 0x1234_5678, delaySinceLastSenderReport: 65_536)

@Suite("RTCP, RFC 3550 §6")
struct RTCPTests {
    @Test("a sender report is read byte for byte")
    func senderReport() throws {
        let bytes: [UInt8] = [
            0x81, 200, 0, 12, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 11,
            0x11, 0x11, 0x22, 0x22, 64, 0xff, 0xff, 0xfd, 0, 1, 0xff, 0xff, 0, 0, 1, 0xe0, 0x12, 0x34, 0x56, 0x78, 0, 1,
            0, 0,
        ]
        let report = SenderReport(
            ssrc: 7, ntpTimestamp: 0x0102_0304_0506_0708, rtpTimestamp: 9, packetCount: 10, octetCount: 11)
        #expect(try rtcp(bytes) == [.senderReport(report, [block])])

        var written: [UInt8] = []
        RTCPWriter.write(ssrc: 7, report: report, blocks: [block], cname: "", into: &written)
        #expect(written.starts(with: bytes))
    }

    @Test("what is written is read again, at every length of CNAME", arguments: 0...9)
    func roundTrip(length: Int) throws {
        let name = String(repeating: "n", count: length)
        let report = SenderReport(ssrc: 7, ntpTimestamp: 1 << 63, rtpTimestamp: .max, packetCount: 1, octetCount: 2)
        var bytes: [UInt8] = []
        RTCPWriter.write(ssrc: 7, report: report, blocks: [block, block], cname: name, isLeaving: true, into: &bytes)
        #expect(bytes.count % 4 == 0)
        #expect(try rtcp(bytes) == [.senderReport(report, [block, block]), .cname(ssrc: 7, name), .bye([7])])
        RTCPWriter.write(ssrc: 8, report: nil, blocks: [block], cname: name, into: &bytes)
        #expect(try rtcp(bytes) == [.receiverReport(ssrc: 8, [block]), .cname(ssrc: 8, name)])
    }

    @Test("31 blocks and 255 bytes of CNAME are the most that is written")
    func limits() throws {
        var bytes: [UInt8] = []
        let blocks = Array(repeating: block, count: 40)
        RTCPWriter.write(ssrc: 8, report: nil, blocks: blocks, cname: String(repeating: "n", count: 300), into: &bytes)
        let cname = String(repeating: "n", count: 255)
        #expect(try rtcp(bytes) == [.receiverReport(ssrc: 8, Array(blocks.prefix(31))), .cname(ssrc: 8, cname)])
    }

    @Test("unknown types and feedback are skipped; reduced size is fine")
    func skipping() throws {
        let feedback: [UInt8] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]
        #expect(try rtcp(feedback + [0x81, 203, 0, 1, 0, 0, 0, 5]) == [.bye([5])])
        #expect(try rtcp([0x80, 195, 0, 0]) == [])
    }

    @Test("counts that promise more than there is are not believed")
    func counts() throws {
        #expect(try rtcp([0x9f, 201, 0, 1, 0, 0, 0, 5]) == [.receiverReport(ssrc: 5, [])])
        #expect(try rtcp([0x9f, 203, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6]) == [.bye([5, 6])])
        #expect(try rtcp([0x9f, 203, 0, 0]) == [.bye([])])
        #expect(try rtcp([0x9f, 200, 0, 1, 0, 0, 0, 5]) == [], "too short for a sender report")
        #expect(try rtcp([0x9f, 202, 0, 2, 0, 0, 0, 5, 1, 200, 0x61, 0x61]) == [], "item past the end")
    }

    @Test("SDES: other items passed over, several chunks, padding of the packet")
    func sourceDescription() throws {
        let bytes: [UInt8] = [
            0xa2, 202, 0, 7, 0, 0, 0, 5, 2, 1, 0x78, 1, 2, 0x61, 0x62, 0, 0, 0, 0, 6, 1, 1, 0x63, 0, 0, 0, 0, 0, 0, 0,
            0, 4,
        ]
        #expect(try rtcp(bytes) == [.cname(ssrc: 5, "ab"), .cname(ssrc: 6, "c")])
    }

    @Test(
        "a wrong version or length drops the datagram",
        arguments: [
            ([], RTPError.tooShort(count: 0)), ([0x80, 200, 0], .tooShort(count: 3)), ([0x40, 201, 0, 0], .version(1)),
            ([0x80, 201, 0, 1], .truncated(needed: 8, count: 4)),
            ([0x80, 201, 0xff, 0xff], .truncated(needed: 262_144, count: 4)),
            ([0x80, 201, 0, 1, 0, 0, 0, 5, 0x80], .tooShort(count: 1)), ([0xa0, 203, 0, 0], .padding(0)),
            ([0xa0, 203, 0, 1, 0, 0, 0, 5], .padding(5)),
        ] as [([UInt8], RTPError)])
    func malformed(bytes: [UInt8], expected: RTPError) {
        #expect(throws: expected) { () throws(RTPError) in try rtcp(bytes) }
    }
}
