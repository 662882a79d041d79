package import Wire

/// Leaving a selected pair that has fallen silent for another one that works.
///
/// RFC 8445 lets the controlling agent choose, once; browsers nominate anew when a path dies, seconds later, others only go on
/// over another. So, when nothing comes on the selected pair and a check of it is not answered, every other pair is checked
/// again. A controlling agent nominates one that answers; a controlled one sends there, first of all where its peer has begun
/// to check, and goes where that nominates as soon as it does. Either way the address has just shown that it consents (RFC 7675
/// §4), and a peer takes media from every pair that it has checked.
extension Agent {
    /// RTP that authenticated came from `remote`. That is no consent, but where it stops the pair is asked at once.
    package mutating func heardMedia(path: Int, from remote: SocketAddress, now: MonotonicTime) {
        guard selected == Tuple(path: path, remote: remote) else { return }
        lastMedia = now
        awaitsMedia = true
    }

    /// When anything came on the selected pair.
    var lastSign: MonotonicTime? {
        guard let index = index(of: selectedPair), let heard = pairs[index].lastHeard else { return lastMedia }
        return max(heard, lastMedia ?? heard)
    }

    /// When the selected pair will have been silent for too long after a check; nil while it is not silent.
    var doubtAt: MonotonicTime? {
        guard let askedAt, let lastSign, lastSign < askedAt else { return nil }
        return askedAt + max(Timing.doubt, (roundTripTime ?? .zero) * 2)
    }

    /// Whether the selected pair has been left without an answer, and nothing else came on it either.
    func isInDoubt(_ now: MonotonicTime) -> Bool {
        doubtAt.map { $0 <= now } ?? false
    }

    /// Whether a pair other than the selected one has answered since that was asked and did not.
    func outlives(_ pair: Pair, _ now: MonotonicTime) -> Bool {
        guard pair.id != selectedPair, pair.isValid(now), let askedAt, let response = pair.lastResponse else {
            return false
        }
        return response > askedAt
    }

    /// The selected pair is asked at once, unless it has shown life a moment ago or is being asked.
    mutating func suspect(_ now: MonotonicTime) {
        guard let lastSign, lastSign + Timing.pause <= now, askedAt.map({ $0 <= lastSign }) ?? true else { return }
        nextConsent = min(nextConsent, now)
    }

    /// Where the selected pair is in doubt: checks the others, and, if the peer decides, sends there until it has.
    mutating func leaveSilentPair(_ now: MonotonicTime) {
        guard !isLite, let selectedPair, isInDoubt(now) else { return }
        if now >= nextProbe {
            nextProbe = now + Timing.consent
            for index in pairs.indices where pairs[index].id != selectedPair && !pairs[index].isPending {
                if pairs[index].lastResponse == nil {
                    // Who only asks from an address, and never answers there, might have made it up.
                    guard pairs[index].remoteKind != .prflx else { continue }
                    pairs[index].isInvited = false
                }
                // Not by the queue of triggered checks, which knows no limit for addresses that never answered.
                (pairs[index].phase, pairs[index].attempts, pairs[index].due) = (.waiting, 0, now)
            }
        }
        guard role == .controlled, let lastSign else { return }
        /// When the peer asked there, if it has since it fell silent here; and else how good the pair is.
        func merit(_ pair: Pair) -> (MonotonicTime, UInt64) {
            (pair.lastAsked.map { $0 > lastSign ? $0 : .zero } ?? .zero, priority(pair))
        }
        let others = pairs.indices.filter { outlives(pairs[$0], now) }
        guard let best = others.max(by: { merit(pairs[$0]) < merit(pairs[$1]) }) else { return }
        select(best, now)
    }
}
