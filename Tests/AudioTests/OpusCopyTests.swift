import Audio
import TestSupport
import Testing

@Suite("Copies of the sound before, RFC 6716 §4.2.4")
struct OpusCopyTests {
    private static let speech = Signal.speech(count: 192_000)

    private func packets(loss: Int, _ settings: EncoderSettings = EncoderSettings(), _ samples: [Int16] = speech) throws
        -> [[UInt8]]
    {
        var encoder = try OpusEncoder(settings)
        encoder.setLoss(percentage: loss)
        return try encoder.packets(samples)
    }

    @Test(
        "With loss most packets of a voice carry one, without loss none",
        arguments: [
            (0, .full, 0, 0), (6, .full, 100, 200), (1, .superwide, 100, 200), (20, .full, 100, 200),
            (30, .wide, 100, 200),
            (20, .narrow, 100, 200),
            (0, .narrow, 0, 0),
        ] as [(Int, EncoderSettings.Bandwidth, Int, Int)])
    func share(loss: Int, bandwidth: EncoderSettings.Bandwidth, least: Int, most: Int) throws {
        let packets = try packets(loss: loss, EncoderSettings(bandwidth: bandwidth))
        let carrying = packets.count { Opus.carriesCopy($0.span) }
        #expect((least...most).contains(carrying), "\(carrying) of \(packets.count)")
    }

    @Test("What is said of a packet is what the decoder finds in it")
    func truth() throws {
        // SILK alone, of which the decoder's guess and its recovery without a copy are the same.
        let packets = try packets(loss: 5, EncoderSettings(bandwidth: .wide))
        var carrying = 0
        for index in stride(from: 12, to: packets.count, by: 7) {
            var one = try OpusDecoder()
            var other = try OpusDecoder()
            for packet in packets[index - 10..<index - 1] {
                _ = try one.samples(packet)
                _ = try other.samples(packet)
            }
            let recovered = try one.recovered(from: packets[index])
            let guessed = try other.concealed(960)
            let hasCopy = recovered != guessed
            let packet = packets[index]
            let carries = Opus.carriesCopy(packet.span)
            #expect(carries == hasCopy, "packet \(index)")
            carrying += hasCopy ? 1 : 0
        }
        #expect(carrying > 5)
    }

    @Test("CELT has none, whatever its bits")
    func celt() {
        for config in 16..<32 as Range<UInt8> {
            for first in 0...255 as ClosedRange<UInt8> {
                for low in 0..<8 as Range<UInt8> {
                    let packet = [config << 3 | low, first, 3, 4]
                    let carries = Opus.carriesCopy(packet.span)
                    #expect(!carries)
                }
            }
        }
    }

    @Test(
        "The bit behind the voice flags, of each channel",
        arguments: [
            // 20 ms: one voice flag. V L
            ([0x48, 0b0100_0000], true), ([0x48, 0b1011_1111], false),
            // 10 ms and hybrid likewise.
            ([0x40, 0b0100_0000], true), ([0x78, 0b0100_0000], true), ([0x78, 0b1011_1111], false),
            // 40 ms: two. V V L
            ([0x50, 0b0010_0000], true), ([0x50, 0b1101_1111], false),
            // 60 ms: three. V V V L
            ([0x58, 0b0001_0000], true), ([0x58, 0b1110_1111], false),
            // Stereo, 20 ms: V L V L
            ([0x4c, 0b0100_0000], true), ([0x4c, 0b0001_0000], true), ([0x4c, 0b1010_1111], false),
            // Stereo, 60 ms: V V V L V V V L
            ([0x5c, 0b0000_0001], true), ([0x5c, 0b0001_0000], true), ([0x5c, 0b1110_1110], false),
            // Two frames of one size; of two sizes and more frames it is not read.
            ([0x49, 0b0100_0000], true), ([0x4a, 0b0100_0000], false), ([0x4b, 0b0100_0000], false),
            ([], false), ([0x48], false),
        ] as [([UInt8], Bool)])
    func bits(packet: [UInt8], expected: Bool) {
        let carries = Opus.carriesCopy(packet.span)
        #expect(carries == expected)
    }

    @Test("Random bytes do no harm")
    func random() {
        var random = Seeded(11)
        var carrying = 0
        for _ in 0..<100_000 {
            let packet = random.bytes(Int.random(in: 0...4, using: &random))
            carrying += Opus.carriesCopy(packet.span) ? 1 : 0
        }
        #expect(carrying > 1000 && carrying < 50_000)
    }
}
