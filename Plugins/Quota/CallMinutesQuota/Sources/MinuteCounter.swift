internal import PatchbayPlugin

/// What one call has of the minutes that several share in one period, in milliseconds.
///
/// All amounts are of the whole call, so that nothing is counted twice where the store does as it is asked and does not answer.
struct MinuteCounter: Sendable {
    let store: any StorePlugin
    let key: String
    /// The call's in the store, and of nobody else: an attempt that heard nothing must not end what a later one has.
    let member: String
    /// How much there is in all.
    let limit: Int
    /// When the period ends, since 1970-01-01 UTC.
    let end: Duration

    /// Takes so much in all, or as much of it as there is.
    ///
    /// - Returns: what the call has now, and what is left besides.
    func take(_ amount: Int, at now: Duration) async throws -> (taken: Int, left: Int) {
        let (share, count) = try await change(.draw(upTo: amount, limit: limit), now)
        return (share, max(0, limit - count))
    }

    /// Counts what was used in the end, whatever was taken.
    func settle(_ used: Int, at now: Duration) async throws {
        _ = try await change(.settle(used), now)
    }

    /// The count outlives its period, since a call may that began in it.
    private func change(_ change: CounterShare.Change, _ now: Duration) async throws -> (share: Int, count: Int) {
        let rest = max(end - now, .zero) + .seconds(86_400)
        return try await store.share(key, member: member, change, timeToLive: rest)
    }

    /// What somebody hears who has nothing left.
    var denial: Denial {
        let date = Timestamp(sinceEpoch: end).written.string.map { ". There are new ones from \($0)" } ?? ""
        return Denial(code: "call_minutes_exceeded", message: "No call minutes are left\(date).")
    }
}
