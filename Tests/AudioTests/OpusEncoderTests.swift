import Audio
import TestSupport
import Testing

@Suite("What the encoder is told")
struct OpusEncoderTests {
    /// What a packet's first byte says of its bandwidth in Hz (RFC 6716 §3.1).
    private func bandwidth(_ packet: [UInt8]) -> Int {
        switch (packet.first ?? 0) >> 3 {
        case 0..<4, 16..<20: 4000
        case 4..<8: 6000
        case 8..<12, 20..<24: 8000
        case 12..<14, 24..<28: 12_000
        default: 20_000
        }
    }

    /// Sound of every frequency.
    private static let noise: [Int16] = {
        var random = Seeded(9)
        return (0..<48_000).map { _ in Int16.random(in: -6000...6000, using: &random) }
    }()

    private func packets(_ settings: EncoderSettings, _ samples: [Int16] = noise, _ wishes: OpusEncoder.Wishes? = nil)
        throws -> [[UInt8]]
    {
        var encoder = try OpusEncoder(settings)
        if let wishes { encoder.follow(wishes) }
        return try encoder.packets(samples)
    }

    @Test("The packets' bandwidth is what was set", arguments: EncoderSettings.Bandwidth.allCases)
    func bandwidth(setting: EncoderSettings.Bandwidth) throws {
        let seen = Set(try packets(EncoderSettings(bitrate: 64_000, bandwidth: setting)).map(bandwidth))
        #expect(seen == [setting.rawValue])
    }

    @Test(
        "And no more than the peer can play",
        arguments: [
            (8000, 4000), (12_000, 6000), (16_000, 8000), (24_000, 12_000), (48_000, 20_000), (15_999, 8000),
        ])
    func playbackRate(rate: Int, expected: Int) throws {
        var wishes = OpusEncoder.Wishes()
        wishes.playbackRate = rate
        #expect(Set(try packets(EncoderSettings(bitrate: 64_000), Self.noise, wishes).map(bandwidth)) == [expected])
        // The lower of the two counts.
        let narrow = EncoderSettings(bitrate: 64_000, bandwidth: .narrow)
        #expect(Set(try packets(narrow, Self.noise, wishes).map(bandwidth)) == [4000])
    }

    @Test("A wish that is taken back is forgotten")
    func takenBack() throws {
        var encoder = try OpusEncoder(EncoderSettings(bitrate: 64_000))
        var wishes = OpusEncoder.Wishes()
        (wishes.playbackRate, wishes.bitrate) = (8000, 12_000)
        encoder.follow(wishes)
        #expect(encoder.bitrate == 12_000)
        _ = try encoder.packets(Self.noise)
        encoder.follow(OpusEncoder.Wishes())
        #expect(encoder.bitrate == 64_000)
        // The codec widens its band step by step, and only between sounds.
        let packets = try encoder.packets([Int16](repeating: 0, count: 48_000) + Self.noise)
        #expect(packets.last.map(bandwidth) ?? 0 > 4000)
    }

    @Test(
        "The least bandwidth that holds everything",
        arguments: [
            (8000, .narrow), (11_000, .medium), (12_000, .medium), (16_000, .wide), (24_000, .superwide),
            (44_100, .full), (48_000, .full), (96_000, .full), (0, .narrow),
        ] as [(Int, EncoderSettings.Bandwidth)])
    func holding(rate: Int, expected: EncoderSettings.Bandwidth) {
        #expect(EncoderSettings.Bandwidth(holding: rate) == expected)
    }

    @Test(
        "Bitrates: the lower of the setting and the wish, within bounds; with loss enough for the copies, if wished",
        arguments: [
            (32_000, nil, 0, 32_000), (32_000, 20_000, 0, 20_000), (16_000, 64_000, 0, 16_000), (1000, nil, 0, 6000),
            (500_000, nil, 0, 128_000), (500_000, 510_000, 0, 128_000), (32_000, 6000, 0, 6000),
            (16_000, nil, 10, 24_000), (32_000, nil, 10, 32_000), (64_000, 40_000, 10, 40_000),
            (32_000, 20_000, 10, 20_000), (16_000, 20_000, 10, 16_000), (16_000, 24_000, 10, 24_000),
        ] as [(Int, Int?, Int, Int)])
    func bitrate(setting: Int, wish: Int?, loss: Int, expected: Int) throws {
        var encoder = try OpusEncoder(EncoderSettings(bitrate: setting))
        var wishes = OpusEncoder.Wishes()
        wishes.bitrate = wish
        encoder.follow(wishes)
        encoder.setLoss(percentage: loss)
        #expect(encoder.bitrate == expected)
        #expect(encoder.sendsFEC == (loss > 0 && wish ?? .max >= 24_000))
        let rate = try encoder.packets(Signal.speech(count: 96_000)).reduce(0) { $0 + $1.count } * 8 / 2
        #expect(rate < expected * 6 / 5 && rate > expected * 2 / 5, "\(rate)")
        encoder.setLoss(percentage: 0)
        #expect(encoder.bitrate == (loss == 0 ? expected : min(setting, wish ?? setting)))
    }

    @Test("A limit lowers the complexity of a stream that goes on, not below its settings, and gives it back")
    func complexityLimit() throws {
        var encoder = try OpusEncoder(EncoderSettings(complexity: 7, minimumComplexity: 2))
        for (limit, expected) in [(10, 7), (5, 5), (0, 2), (-9, 2), (3, 3), (99, 7)] {
            encoder.limitComplexity(to: limit)
            #expect(encoder.complexity == expected)
            #expect(try encoder.packets(Signal.speech(count: 9600)).allSatisfy { $0.count > 20 })
        }
        #expect(EncoderSettings(complexity: 4, minimumComplexity: 9).complexities == 4...4)
        #expect(EncoderSettings(complexity: 99, minimumComplexity: -1).complexities == 0...10)
    }

    @Test("Complexity makes a difference, and is held to 0 … 10")
    func complexity() throws {
        let speech = Signal.speech(count: 48_000)
        func made(_ complexity: Int) throws -> [[UInt8]] {
            try packets(EncoderSettings(complexity: complexity), speech)
        }
        let (least, usual, most) = (try made(0), try made(5), try made(10))
        #expect(least != usual && usual != most)
        #expect(try made(-7) == least && made(99) == most)
        #expect(try packets(EncoderSettings(), speech) == usual)
    }

    @Test("With DTX silence becomes packets that need not be sent; a voice does not")
    func discontinuousTransmission() throws {
        var wishes = OpusEncoder.Wishes()
        wishes.useDTX = true
        let speech = Signal.speech(count: 48_000)
        let packets = try packets(EncoderSettings(), speech + [Int16](repeating: 0, count: 96_000) + speech, wishes)
        let silence = packets[65..<150]
        let unsent = silence.count { $0.count <= OpusEncoder.unsentPacket }
        // One in twenty keeps the peer's noise up to date.
        #expect(unsent >= 70 && unsent < silence.count)
        #expect(packets[..<45].count { $0.count <= OpusEncoder.unsentPacket } == 0)
        #expect(packets[152...].allSatisfy { $0.count > OpusEncoder.unsentPacket })
    }

    @Test("A constant bitrate makes packets of one size, whatever is said", arguments: [16_000, 32_000, 64_000])
    func constantBitrate(bitrate: Int) throws {
        var wishes = OpusEncoder.Wishes()
        let sound = Signal.speech(count: 48_000) + [Int16](repeating: 0, count: 24_000) + Self.noise
        let settings = EncoderSettings(bitrate: bitrate)
        #expect(Set(try packets(settings, sound, wishes).map(\.count)).count > 10)
        wishes.constantBitrate = true
        #expect(Set(try packets(settings, sound, wishes).map(\.count)) == [bitrate / 400])
    }
}
