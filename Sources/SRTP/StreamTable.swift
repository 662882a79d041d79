/// The synchronization sources a session has accepted packets of, the one heard last at the end: at most 8, found by a walk.
struct StreamTable {
    private var sources: [(ssrc: UInt32, hasRTP: Bool)] = []

    init() {
        sources.reserveCapacity(SRTPSession.maximumStreams)
    }

    /// Whether RTP of `ssrc` was accepted before.
    func hasRTP(_ ssrc: UInt32) -> Bool {
        sources.contains { $0.ssrc == ssrc && $0.hasRTP }
    }

    /// Notes an accepted packet; returns the source that has to go for it, if any: the one not heard for longest.
    mutating func heard(_ ssrc: UInt32, rtp: Bool) -> UInt32? {
        if let last = sources.last, last.ssrc == ssrc, last.hasRTP || !rtp { return nil }
        if let index = sources.firstIndex(where: { $0.ssrc == ssrc }) {
            let known = sources.remove(at: index)
            sources.append((ssrc, known.hasRTP || rtp))
            return nil
        }
        let evicted = sources.count < SRTPSession.maximumStreams ? nil : sources.removeFirst().ssrc
        sources.append((ssrc, rtp))
        return evicted
    }
}
