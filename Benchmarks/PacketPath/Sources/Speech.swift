import Foundation
import TestSupport

/// Sound with the rhythm of speech: syllables of a voice whose pitch moves, and pauses. 16 kHz.
func speech(seconds: Int, seed: UInt64) -> [Int16] {
    var generator = Seeded(seed)
    var samples: [Int16] = []
    var phase = 0.0
    while samples.count < seconds * 16_000 {
        for _ in 0..<Int(3 + generator.next() % 4) {
            let count = Int(2000 + generator.next() % 2500)
            let pitch = 100 + 80 * generator.unit()
            for index in 0..<count {
                phase += 2 * .pi * pitch / 16_000
                let voice = sin(phase) + 0.5 * sin(3 * phase) + 0.3 * sin(7 * phase) + 0.1 * (generator.unit() - 0.5)
                samples.append(Int16(6000 * sin(.pi * Double(index) / Double(count)) * voice))
            }
        }
        samples += [Int16](repeating: 0, count: Int(2000 + generator.next() % 8000))
    }
    return Array(samples.prefix(seconds * 16_000))
}
