internal import PatchbayPlugin

/// What those who share a limit have used or taken of it in one period, in milliseconds.
struct MinuteCounter: Sendable {
    let store: any StorePlugin
    let key: String
    /// How much there is in all.
    let limit: Int
    /// When the period ends, since 1970-01-01 UTC.
    let end: Duration

    /// Less than this is not worth a call.
    private static let least = 1_000

    /// Takes so much, or as much as there is; nil when there is less than a second.
    ///
    /// - Returns: what was taken, and what is left besides.
    func take(_ amount: Int, at now: Duration) async throws -> (taken: Int, left: Int)? {
        var amount = amount
        // Others may be quicker between the look and the taking. Who is it so often comes away with nothing.
        for _ in 0..<8 {
            if let count = try await increment(by: amount, limit: limit, now) { return (amount, limit - count) }
            let left = limit - (try await increment(by: 0, limit: .max, now) ?? limit)
            guard left >= Self.least else { return nil }
            amount = min(amount, left)
        }
        return nil
    }

    /// Counts what was used beyond what was taken, or gives back what was not.
    func add(_ amount: Int, at now: Duration) async throws {
        if amount != 0 { _ = try await increment(by: amount, limit: .max, now) }
    }

    /// The count outlives its period, since a call may that began in it.
    private func increment(by amount: Int, limit: Int, _ now: Duration) async throws -> Int? {
        let rest = max(end - now, .zero) + .seconds(86_400)
        return try await store.increment(key, by: amount, limit: limit, timeToLive: rest)
    }

    /// What somebody hears who has nothing left.
    var denial: Denial {
        let date = Timestamp(sinceEpoch: end).written.string.map { ". There are new ones from \($0)" } ?? ""
        return Denial(code: "call_minutes_exceeded", message: "No call minutes are left\(date).")
    }
}
