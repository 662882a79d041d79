/// The synchronization sources a session has accepted packets of: at most 8, found by a walk.
struct StreamTable {
    private var sources: [(ssrc: UInt32, hasRTP: Bool)] = []

    init() {
        sources.reserveCapacity(SRTPSession.maximumStreams)
    }

    /// Whether RTP of `ssrc` was accepted before.
    func hasRTP(_ ssrc: UInt32) -> Bool {
        sources.contains { $0.ssrc == ssrc && $0.hasRTP }
    }

    /// Whether `ssrc` is known or there is room for it.
    func takes(_ ssrc: UInt32) -> Bool {
        sources.count < SRTPSession.maximumStreams || sources.contains { $0.ssrc == ssrc }
    }

    mutating func add(_ ssrc: UInt32, hasRTP: Bool) {
        if let index = sources.firstIndex(where: { $0.ssrc == ssrc }) {
            sources[index].hasRTP = sources[index].hasRTP || hasRTP
        } else if sources.count < SRTPSession.maximumStreams {
            sources.append((ssrc, hasRTP))
        }
    }

    mutating func remove(_ ssrc: UInt32) {
        sources.removeAll { $0.ssrc == ssrc }
    }
}
