internal import Glibc

/// Raises a sound's sample rate by a whole factor, piece by piece.
///
/// Each output sample is a weighted sum of the 16 input samples around it; the weights are a sinc under a Hann window,
/// so that the images above the old band are suppressed.
struct Upsampler: Sendable {
    private static let reach = 8

    private let input: [Int16]
    private let factor: Int
    /// For each of the `factor` places between two input samples, the weights of the samples around it; they add up to
    /// 1.
    private let weights: [[Double]]

    init(_ input: [Int16], factor: Int) {
        self.input = input
        self.factor = factor
        weights = (0..<factor).map { place in
            let raw = (0..<2 * Self.reach).map { tap in
                Self.windowedSinc(Double(place) / Double(factor) + Double(Self.reach - 1 - tap))
            }
            let sum = raw.reduce(0, +)
            return raw.map { $0 / sum }
        }
    }

    /// The number of samples that come out.
    var count: Int { input.count * factor }

    /// A piece of the output, within `0..<count`.
    func samples(_ range: Range<Int>) -> [Int16] {
        if factor == 1 { return Array(input[range]) }
        return range.map { index in
            let (nearest, place) = index.quotientAndRemainder(dividingBy: factor)
            let first = nearest - (Self.reach - 1)
            let weights = weights[place]
            var sum = 0.0
            for source in max(first, 0)..<min(first + weights.count, input.count) {
                sum += weights[source - first] * Double(input[source])
            }
            return Int16(max(-32_768, min(32_767, sum.rounded())))
        }
    }

    private static func windowedSinc(_ x: Double) -> Double {
        if x == 0 { return 1 }
        let position = x / Double(reach)
        if abs(position) >= 1 { return 0 }
        return sin(.pi * x) / (.pi * x) * (0.5 + 0.5 * cos(.pi * position))
    }
}
