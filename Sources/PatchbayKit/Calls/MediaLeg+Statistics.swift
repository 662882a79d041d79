import WebRTC

extension MediaLeg {
    /// How it goes; nil when it is over, or does not answer in time.
    func statistics(within limit: Duration) async -> CallStatistics? {
        await [0: self as any MediaLeg].statistics(within: limit)[0]
    }
}

extension Dictionary where Key: Sendable, Value == any MediaLeg {
    /// How all of them go, asked at once; without those that are over or do not answer in time.
    func statistics(within limit: Duration) async -> [Key: CallStatistics] {
        if isEmpty { return [:] }
        let (answers, answer) = AsyncStream<(key: Key, statistics: CallStatistics?)>.makeStream()
        // Tasks of their own: a group would wait for the leg that never answers.
        for (key, leg) in self {
            Task { answer.yield((key, try? await leg.statistics())) }
        }
        let timer = Task {
            try? await Task.sleep(for: limit)
            answer.finish()
        }
        defer { timer.cancel() }
        var found: [Key: CallStatistics] = [:]
        var left = count
        for await each in answers {
            found[each.key] = each.statistics
            left -= 1
            if left == 0 { break }
        }
        return found
    }
}
