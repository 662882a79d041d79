import Audio
import Foundation
import TestSupport

/// Sound for calls, and how alike two sounds are.
enum Signal {
    /// Something with the rhythm and the spectrum of speech: syllables of a voice whose pitch moves, words, pauses.
    static func speech(seconds: Double, rate: Int = 16_000, seed: UInt64 = 7) -> [Int16] {
        var generator = Seeded(seed)
        var samples: [Int16] = []
        var phase = 0.0
        while samples.count < Int(seconds * Double(rate)) {
            for _ in 0..<Int.random(in: 2...5, using: &generator) {
                let length = Double.random(in: 0.12...0.28, using: &generator)
                let pitch = Double.random(in: 100...180, using: &generator)
                let formant = Double.random(in: 400...1800, using: &generator)
                let loudness = Double.random(in: 0.4...1, using: &generator)
                let count = Int(length * Double(rate))
                for index in 0..<count {
                    let place = Double(index) / Double(count)
                    phase += 2 * .pi * pitch * (1 + 0.1 * place) / Double(rate)
                    var sum = 0.0
                    for harmonic in 1...20 {
                        let distance = (Double(harmonic) * pitch - formant) / 400
                        sum += exp(-distance * distance / 2) * sin(Double(harmonic) * phase) / sqrt(Double(harmonic))
                    }
                    samples.append(Int16(4000 * loudness * sin(.pi * place) * sum))
                }
            }
            let pause = Double.random(in: 0.1...0.4, using: &generator)
            samples += [Int16](repeating: 0, count: Int(pause * Double(rate)))
        }
        return Array(samples.prefix(Int(seconds * Double(rate))))
    }

    /// What calls that are about something else say.
    static let pool = speech(seconds: 4)
    /// Sound from the first sample on.
    static let onset = tone(seconds: 0.3)

    static func tone(seconds: Double, rate: Int = 16_000) -> [Int16] {
        (0..<Int(seconds * Double(rate))).map { Int16(8000 * sin(2 * .pi * 440 * Double($0) / Double(rate))) }
    }

    /// Loudness every 10 ms.
    static func envelope(_ samples: [Int16], rate: Int = 16_000) -> [Double] {
        let step = rate / 100
        return stride(from: 0, to: samples.count - step + 1, by: step).map { start in
            sqrt(samples[start..<start + step].reduce(0) { $0 + Double($1) * Double($1) } / Double(step))
        }
    }

    /// How well the loudness of `heard` follows that of `said`, at the best delay up to `longest` steps of 10 ms.
    static func likeness(of heard: [Int16], to said: [Int16], longest: Int = 200) -> (correlation: Double, delay: Int) {
        let (heard, said) = (envelope(heard), envelope(said))
        var best = (correlation: -1.0, delay: 0)
        for delay in 0...longest where heard.count > delay {
            let count = min(said.count, heard.count - delay)
            guard count >= said.count * 9 / 10 else { break }
            let value = correlation(said.prefix(count), heard[delay..<delay + count])
            if value > best.correlation { best = (value, delay) }
        }
        return best
    }

    private static func correlation(_ left: ArraySlice<Double>, _ right: ArraySlice<Double>) -> Double {
        let (a, b) = (left.reduce(0, +) / Double(left.count), right.reduce(0, +) / Double(right.count))
        var (product, squareA, squareB) = (0.0, 0.0, 0.0)
        for (x, y) in zip(left, right) {
            product += (x - a) * (y - b)
            squareA += (x - a) * (x - a)
            squareB += (y - b) * (y - b)
        }
        return product / max(sqrt(squareA * squareB), 1e-9)
    }
}

extension [PCMInputQueue.Frame] {
    var samples: [Int16] { flatMap(\.samples) }
    /// Steps between frames other than 20 ms.
    var jumps: [UInt64] { zip(self, dropFirst()).map { $1.timestamp &- $0.timestamp }.filter { $0 != 960 } }
    var duration: Duration { .milliseconds(20 * count) }
    var soundingCount: Int { count { !$0.silent } }
}
