import Testing

@Suite("Thousands of calls, each with addresses, candidates and moves of its own")
struct ConnectivityTests {
    private static let perTest: UInt64 = 25

    /// `PATCHBAY_SEEDS` says how many, `PATCHBAY_SEED` which one.
    @Test("each connects or ends with a reason, survives what can be survived, and ends once", arguments: chunks)
    func connectivity(_ seeds: ClosedRange<UInt64>) async throws {
        for seed in seeds {
            let call = Connectivity(seed: seed)
            try await call.run()
            Tally.connectivity.add(call.outcome)
        }
    }

    private static var chunks: [ClosedRange<UInt64>] { seedRanges(400, each: perTest) }
}
