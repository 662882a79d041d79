internal import Glibc
public import PatchbayPlugin

extension PCMFrame {
    /// A sine tone at a quarter of full scale, in frames of 20 ms.
    ///
    /// - Parameters:
    ///   - milliseconds: how long it lasts; the last frame may be shorter.
    ///   - frequency: in Hz.
    ///   - sampleRate: the pipeline's `audio.inputRate`.
    public static func tone(
        _ milliseconds: Int, frequency: Double = 440, sampleRate: Int = 16_000
    ) -> [PCMFrame] {
        let step = 2 * Double.pi * frequency / Double(sampleRate)
        let samples = (0..<milliseconds * sampleRate / 1_000).map { Int16(8_192 * sin(step * Double($0))) }
        return frames(samples, sampleRate: sampleRate, silent: false)
    }

    /// Digital silence, in frames of 20 ms.
    ///
    /// - Parameters:
    ///   - milliseconds: how long it lasts; the last frame may be shorter.
    ///   - sampleRate: the pipeline's `audio.inputRate`.
    public static func silence(_ milliseconds: Int, sampleRate: Int = 16_000) -> [PCMFrame] {
        let samples = [Int16](repeating: 0, count: milliseconds * sampleRate / 1_000)
        return frames(samples, sampleRate: sampleRate, silent: true)
    }

    private static func frames(_ samples: [Int16], sampleRate: Int, silent: Bool) -> [PCMFrame] {
        let length = sampleRate / 50
        return stride(from: 0, to: samples.count, by: length).map { start in
            PCMFrame(
                Array(samples[start..<min(start + length, samples.count)]), sampleRate: sampleRate, silent: silent)
        }
    }
}

extension [PCMFrame] {
    /// How long the frames sound, one after the other.
    public var duration: Duration { reduce(.zero) { $0 + $1.duration } }

    /// All samples in one piece.
    public var samples: [Int16] { flatMap(\.samples) }
}
