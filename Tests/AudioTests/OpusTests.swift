import Audio
import TestSupport
import Testing
import Wire

@Suite("Opus, RFC 6716")
struct OpusTests {
    // The encoder's high-pass filter shifts the phase of a voice's lowest harmonics, hence the lower bound.
    @Test("A tone and a voice survive encoding, 6.4 ms late", arguments: [(true, 30.0), (false, 9.0)])
    func quality(isTone: Bool, bound: Double) throws {
        let sent = isTone ? Signal.tone(440, rate: 48_000, count: 48_000) : Signal.speech(count: 48_000, pitch: 250)
        var encoder = try OpusEncoder()
        var decoder = try OpusDecoder()
        let packets = try encoder.packets(sent)
        var heard: [Int16] = []
        for packet in packets {
            #expect(Opus.duration(of: packet.span) == 960)
            heard += try decoder.samples(packet)
        }
        #expect(heard.count == sent.count)
        #expect(Signal.quality(heard, of: sent, delays: 300...315).decibels > bound)
        let bytes = packets.reduce(0) { $0 + $1.count }
        #expect((1000...5000).contains(bytes))  // 1 s at 32 kbit/s is 4000
    }

    @Test("The bitrate is what was set, within a fifth", arguments: [16_000, 24_000, 32_000, 64_000])
    func bitrate(bitrate: Int) throws {
        var encoder = try OpusEncoder(EncoderSettings(bitrate: bitrate))
        let packets = try encoder.packets(Signal.speech(count: 192_000))
        let rate = packets.reduce(0) { $0 + $1.count } * 8 / 4
        #expect(rate < bitrate * 6 / 5 && rate > bitrate * 2 / 5)
        #expect(packets.allSatisfy { $0.count <= OpusEncoder.maximumPacket })
    }

    @Test("With loss reported, a lost frame comes back from the next packet better than by concealment")
    func forwardErrorCorrection() throws {
        let sent = Signal.speech(count: 192_000)
        var encoder = try OpusEncoder()
        encoder.setLoss(percentage: 20)
        let packets = try encoder.packets(sent)
        var whole = try OpusDecoder()
        let reference = try packets.flatMap { packet throws(AudioError) in try whole.samples(packet) }
        func heard(recovering: Bool) throws -> Double {
            var decoder = try OpusDecoder()
            var (error, power) = (0.0, 0.0)
            for (index, packet) in packets.enumerated() {
                let isLost = index % 5 == 3 && index + 1 < packets.count
                let samples =
                    !isLost
                    ? try decoder.samples(packet)
                    : recovering ? try decoder.recovered(from: packets[index + 1]) : try decoder.concealed(960)
                guard isLost else { continue }
                #expect(samples.count == 960)
                for (offset, sample) in samples.enumerated() {
                    let wanted = Double(reference[index * 960 + offset])
                    power += wanted * wanted
                    error += (Double(sample) - wanted) * (Double(sample) - wanted)
                }
            }
            return power / error
        }
        let (recovered, concealed) = (try heard(recovering: true), try heard(recovering: false))
        #expect(recovered > 2 * concealed)
    }

    @Test("Silence is encoded in every frame unless the peer asks for DTX")
    func silence() throws {
        var encoder = try OpusEncoder()
        var decoder = try OpusDecoder()
        for packet in try encoder.packets([Int16](repeating: 0, count: 96_000)) {
            #expect(packet.count >= 3)
            #expect(try Signal.power(decoder.samples(packet)[...]) < 4)
        }
    }

    @Test("What a peer's DTX sends, one byte or two, decodes to its duration")
    func short() throws {
        var decoder = try OpusDecoder()
        for contents in [0x08, 0x78, 0x98, 0xf8] as [UInt8] {
            let samples = try decoder.samples([contents])
            #expect(samples.count == Opus.duration(of: [contents].span))
        }
    }

    @Test("Concealment makes what is asked for, fades, and refuses what is no gap")
    func concealment() throws {
        var encoder = try OpusEncoder()
        var decoder = try OpusDecoder()
        let packets = try encoder.packets(Signal.speech(count: 48_000))
        var last: [Int16] = []
        for packet in packets.prefix(8) { last = try decoder.samples(packet) }
        #expect(Signal.power(last[...]) > 1000)
        #expect(try decoder.concealed(120).count == 120)
        #expect(try decoder.concealed(5760).count == 5760)
        for _ in 0..<10 { last = try decoder.concealed(960) }
        #expect(Signal.power(last[...]) < 1000)
        for count in [-120, 0, 1, 119, 5761, 5880] {
            #expect(throws: AudioError.frameSize(count: count)) { try decoder.concealed(count) }
        }
    }

    @Test(
        "A packet's duration is its frames' sum, at most 120 ms",
        arguments: [
            ([0x00], 480), ([0x18], 2880), ([0x58], 2880), ([0x60], 480), ([0x78], 960), ([0x80], 120), ([0xf8], 960),
            ([0xf9], 1920), ([0xfa], 1920), ([0x1b, 2], 5760), ([0xfb, 6], 5760), ([0x83, 48], 5760),
            ([], nil), ([0xfb], nil), ([0xfb, 0], nil), ([0xfb, 7], nil), ([0x1b, 3], nil), ([0x83, 63], nil),
        ] as [([UInt8], Int?)])
    func duration(packet: [UInt8], expected: Int?) throws {
        #expect(Opus.duration(of: packet.span) == expected)
        guard expected == nil else { return }
        var decoder = try OpusDecoder()
        #expect(throws: AudioError.malformed(count: packet.count)) { try decoder.samples(packet) }
    }

    @Test("Buffers too small and frames of another size are refused")
    func room() throws {
        var encoder = try OpusEncoder()
        var decoder = try OpusDecoder()
        #expect(throws: AudioError.noRoom(needed: 960, room: 959)) {
            var scratch = [Int16](repeating: 0, count: 959)
            var span = scratch.mutableSpan
            _ = try decoder.decode([0xf8].span, into: &span)
        }
        #expect(throws: AudioError.noRoom(needed: 400, room: 399)) {
            var scratch = [UInt8](repeating: 0, count: 411)
            var span = scratch.mutableSpan
            _ = try encoder.encode([Int16](repeating: 0, count: 960).span, into: &span, at: 12)
        }
        #expect(throws: AudioError.frameSize(count: 320)) {
            var scratch = [UInt8](repeating: 0, count: 400)
            var span = scratch.mutableSpan
            _ = try encoder.encode([Int16](repeating: 0, count: 320).span, into: &span)
        }
    }

    @Test("10 000 random payloads decode to at most 120 ms each or fail, without a trap")
    func random() throws {
        var random = Seeded(5)
        var decoder = try OpusDecoder()
        var decoded = 0
        for _ in 0..<10_000 {
            let packet = random.bytes(Int.random(in: 0...80, using: &random))
            let duration = Opus.duration(of: packet.span)
            guard let samples = try? decoder.samples(packet) else { continue }
            #expect(samples.count == duration)
            decoded += 1
        }
        #expect(decoded > 3000)
    }
}
