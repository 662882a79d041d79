/// Tells frames with a voice in them from the background, by loudness alone.
///
/// The floor is the quietest frame of the last one and a half to three seconds: even fast talkers close their lips within
/// that time. A frame is silent when it is less than 10 dB above the floor, and always below -60 dBFS.
struct NoiseFloor {
    private static let window = 75
    /// Mean squares of 16-bit samples: -60 dBFS, and -35 dBFS, above which nothing is taken for background.
    private static let alwaysSilent = 1_074.0
    private static let neverSilent = 339_500.0
    private static let margin = 10.0

    private var quietest = Double.infinity
    private var quietestBefore = Double.infinity
    private var frames = 0

    /// - Parameter frame: the samples of 20 ms.
    mutating func isSilent(_ frame: Span<Int16>, isReal: Bool = true) -> Bool {
        var energy: Int64 = 0
        for index in frame.indices {
            let sample = Int64(frame[index])
            energy &+= sample &* sample
        }
        return isSilent(Double(energy) / Double(max(frame.count, 1)), isReal: isReal)
    }

    /// - Parameters:
    ///   - power: mean square of a 20 ms frame's samples.
    ///   - isReal: a codec's guess says nothing about the room.
    mutating func isSilent(_ power: Double, isReal: Bool = true) -> Bool {
        // Nor does digital silence.
        if isReal, power >= 1 {
            quietest = min(quietest, power)
            frames += 1
            if frames == Self.window {
                (quietestBefore, quietest, frames) = (quietest, .infinity, 0)
            }
        }
        // Before the first window is full, a voice may be all there was.
        let floor = quietestBefore.isFinite ? min(quietest, quietestBefore) : 0
        return power < min(max(floor * Self.margin, Self.alwaysSilent), Self.neverSilent)
    }
}
