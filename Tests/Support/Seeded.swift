import Synchronization
package import Wire

/// A small seeded generator, so that a failing run can be run again.
package struct Seeded: RandomNumberGenerator, Sendable {
    private static let step: UInt64 = 0x9e37_79b9_7f4a_7c15
    package var state: UInt64

    package init(_ seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mix(state)
    }

    /// 0 ..< 1
    package mutating func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }

    package mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    /// SplitMix64.
    private static func mix(_ state: UInt64) -> UInt64 {
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }

    fileprivate final class Shared: Sendable {
        private let state: Atomic<UInt64>

        init(_ seed: UInt64) { state = Atomic(seed) }

        func next() -> UInt64 { Seeded.mix(state.wrappingAdd(Seeded.step, ordering: .relaxed).newValue) }
    }
}

extension RandomSource {
    /// A source for a machine in a test. Copies draw from one sequence.
    package static func seeded(_ seed: UInt64) -> RandomSource {
        let shared = Seeded.Shared(seed)
        return RandomSource { shared.next() }
    }
}
