import Testing

@Suite("Thousands of calls, each with a network of its own")
struct MatrixTests {
    private static let perTest: UInt64 = 25

    /// `PATCHBAY_SEEDS` says how many, `PATCHBAY_SEED` which one.
    @Test("whatever happens to it, a call keeps time and its promises, recovers, and ends once", arguments: chunks)
    func matrix(_ seeds: ClosedRange<UInt64>) async throws {
        for seed in seeds { try await Lifetime(seed: seed).run() }
    }

    private static var chunks: [ClosedRange<UInt64>] { seedRanges(3000, each: perTest) }
}
