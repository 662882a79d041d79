import Audio
import Glibc
import Wire

/// Test signals and how alike two are.
enum Signal {
    static func tone(_ frequency: Double, rate: Int, count: Int, amplitude: Double = 8000) -> [Int16] {
        (0..<count).map { Int16(amplitude * sin(2 * .pi * frequency * Double($0) / Double(rate))) }
    }

    /// Harmonics of a gliding pitch under syllables of a quarter second: what a voice codec expects. Up to 4 s.
    static func speech(count: Int) -> [Int16] { Array(usual.prefix(count)) }

    private static let usual = speech(count: 192_000, pitch: 140)

    static func speech(count: Int, pitch: Double) -> [Int16] {
        var phase = 0.0
        return (0..<count).map { index in
            let time = Double(index) / 48_000
            phase += 2 * .pi * (pitch + 30 * sin(2 * .pi * 0.7 * time)) / 48_000
            let envelope = 0.5 - 0.5 * cos(2 * .pi * 4 * time)
            var voice = 0.0
            for harmonic in 1...20 { voice += sin(phase * Double(harmonic)) / Double(harmonic) }
            return Int16(5000 * envelope * voice)
        }
    }

    /// Signal to noise in dB of `heard` against `sent`, at the delay and level up to which they match best.
    static func quality(_ heard: [Int16], of sent: [Int16], delays: ClosedRange<Int>) -> (decibels: Double, delay: Int)
    {
        let length = min(sent.count, heard.count - delays.upperBound)
        var best = (decibels: -Double.infinity, delay: 0)
        for delay in delays {
            var (product, power, energy) = (0.0, 0.0, 0.0)
            for index in length / 4..<length {
                let (a, b) = (Double(sent[index]), Double(heard[index + delay]))
                product += a * b
                power += a * a
                energy += b * b
            }
            let matched = product * product / power
            let decibels = 10 * log10(matched / max(energy - matched, 1e-9))
            if decibels > best.decibels { best = (decibels, delay) }
        }
        return best
    }

    static func power(_ samples: ArraySlice<Int16>) -> Double {
        samples.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(samples.count, 1))
    }
}

extension OpusEncoder {
    mutating func packets(_ samples: [Int16]) throws(AudioError) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        var scratch = [UInt8](repeating: 0, count: Self.maximumPacket)
        for start in stride(from: 0, through: samples.count - 960, by: 960) {
            var bytes = scratch.mutableSpan
            let count = try encode(samples.span.extracting(start..<start + 960), into: &bytes)
            packets.append(Array(scratch.prefix(count)))
        }
        return packets
    }
}

extension OpusDecoder {
    mutating func samples(_ packet: [UInt8]) throws(AudioError) -> [Int16] {
        var scratch = [Int16](repeating: 0, count: Opus.maximumSamples)
        var span = scratch.mutableSpan
        let count = try decode(packet.span, into: &span)
        return Array(scratch.prefix(count))
    }

    mutating func concealed(_ count: Int) throws(AudioError) -> [Int16] {
        var scratch = [Int16](repeating: 0, count: Opus.maximumSamples)
        var span = scratch.mutableSpan
        let made = try conceal(count: count, into: &span)
        return Array(scratch.prefix(made))
    }

    mutating func recovered(from next: [UInt8]) throws(AudioError) -> [Int16] {
        var scratch = [Int16](repeating: 0, count: Opus.maximumSamples)
        var span = scratch.mutableSpan
        let made = try recover(from: next.span, count: 960, into: &span)
        return Array(scratch.prefix(made))
    }
}
