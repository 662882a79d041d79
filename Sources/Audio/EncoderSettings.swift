/// How speech is encoded, as far as that is not for the peer to say.
package struct EncoderSettings: Sendable, Equatable {
    /// The highest sound that is encoded (RFC 6716 §2).
    package enum Bandwidth: Int, Sendable, Comparable, CaseIterable {
        /// 4, 6, 8, 12 and 20 kHz.
        case narrow = 4000, medium = 6000, wide = 8000, superwide = 12_000, full = 20_000

        package static func < (left: Bandwidth, right: Bandwidth) -> Bool { left.rawValue < right.rawValue }

        /// The least in which everything fits that sound at `rate` Hz holds.
        package init(holding rate: Int) {
            self = Self.allCases.first { $0.rawValue * 2 >= rate } ?? .full
        }
    }

    /// 0 … 10; 5 costs half of what 9 does.
    package var complexity: Int
    /// What it may come down to where there is more to encode than time.
    package var minimumComplexity: Int
    /// Bit/s, 6000 … 128 000, when the peer does not ask for less.
    package var bitrate: Int
    package var bandwidth: Bandwidth

    package init(
        complexity: Int = 5, minimumComplexity: Int = 0, bitrate: Int = 32_000, bandwidth: Bandwidth = .full
    ) {
        (self.complexity, self.minimumComplexity) = (complexity, minimumComplexity)
        (self.bitrate, self.bandwidth) = (bitrate, bandwidth)
    }

    /// From the least that an encoder may come down to, to what it is set to.
    package var complexities: ClosedRange<Int> {
        let highest = min(max(complexity, 0), 10)
        return min(max(minimumComplexity, 0), highest)...highest
    }
}
