import RTP
import TestSupport
import Testing

@Suite("Hostile packets")
struct FuzzTests {
    /// Feeds one packet to every parser and checks what holds for whatever they accept.
    private func feed(_ packet: [UInt8]) {
        _ = PacketKind(packet.span)
        _ = TelephoneEvent(parsing: packet.span)
        if let red = RedundantPayload(parsing: packet.span) {
            var end = red.count * 4 + 1
            for index in 0..<red.count {
                guard let block = red.block(index) else { continue }
                #expect(block.range.lowerBound >= end && block.timestampOffset > 0 && block.payloadType < 128)
                end = block.range.upperBound
            }
            #expect(red.primary.lowerBound >= end && red.primary.upperBound == packet.count)
            #expect(red.block(red.count) == nil && red.block(-1) == nil)
        }
        if let parsed = try? header(packet) {
            #expect(parsed.payload.lowerBound >= 12 && parsed.payload.upperBound <= packet.count)
            #expect(parsed.extensions.upperBound <= parsed.payload.lowerBound)
            for id: UInt8 in [0, 1, 4, 14, 15, 200] {
                if let range = parsed.extensionData(id: id, in: packet.span) {
                    #expect(range.lowerBound >= parsed.extensions.lowerBound)
                    #expect(range.upperBound <= parsed.extensions.upperBound)
                }
                _ = parsed.audioLevel(id: id, in: packet.span)
                _ = parsed.mid(id: id, in: packet.span)
            }
        }
        if let packets = try? rtcp(packet) {
            #expect(packets.count <= packet.count / 4)
        }
    }

    private static let seeds: [[UInt8]] = {
        var report: [UInt8] = []
        let block = ReportBlock(
            ssrc: 1, fractionLost: 2, cumulativeLost: 3, highestSequence: 4, jitter: 5, lastSenderReport: 6,
            delaySinceLastSenderReport: 7)
        let sender = SenderReport(ssrc: 9, ntpTimestamp: 1, rtpTimestamp: 2, packetCount: 3, octetCount: 4)
        RTCPWriter.write(
            ssrc: 9, report: sender, blocks: [block, block], cname: "someone", referenceTime: 10,
            delay: DelaySinceLastReceiverReport(ssrc: 11, lastReceiverReport: 12, delay: 13), isLeaving: true,
            into: &report)
        let extended: [UInt8] = [
            0x80, 207, 0, 10, 0, 0, 0, 1, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9,
            5, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6,
        ]
        let redundant: [UInt8] = [0xef, 0x1e, 0, 3, 0xef, 0x0f, 0, 2, 0x6f, 1, 2, 3, 4, 5, 6, 7, 8]
        let oneByte: [UInt8] = [
            0xb1, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xbe, 0xde, 0, 2, 0x10, 0x85, 0x41, 0x30, 0x31, 0, 0,
            0,
            1, 2, 3, 4, 5, 0, 2,
        ]
        let twoByte: [UInt8] = [
            0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0, 2, 1, 1, 5, 4, 2, 0x30, 0x31, 0, 9, 9,
        ]
        return [report, extended, redundant, oneByte, twoByte]
    }()

    @Test("random bytes are survived")
    func random() {
        var random = Seeded(11)
        for _ in 0..<10_000 {
            var packet = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                UInt8.random(in: 0 ... .max, using: &random)
            }
            if packet.count > 1, Bool.random(using: &random) {
                packet[0] = packet[0] & 0x3f | 0x80
                packet[1] = UInt8.random(in: 198...208, using: &random)
            }
            feed(packet)
        }
    }

    @Test("damaged packets are survived")
    func mutated() throws {
        var random = Seeded(12)
        for _ in 0..<10_000 {
            var packet = try #require(Self.seeds.randomElement(using: &random))
            for _ in 0..<Int.random(in: 1...5, using: &random) where !packet.isEmpty {
                let place = Int.random(in: 0..<packet.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: packet[place] = UInt8.random(in: 0 ... .max, using: &random)
                case 1: packet[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: packet.removeLast(packet.count - place)
                default: packet.insert(contentsOf: packet[place...].prefix(8), at: place)
                }
            }
            feed(packet)
        }
    }
}
