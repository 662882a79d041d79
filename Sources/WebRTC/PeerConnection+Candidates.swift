import ICE
import SDP
package import Wire

/// Candidates that come before, with or after the descriptions (RFC 8838), the peer's and ours.
extension PeerConnection {
    // MARK: - The peer's

    /// A candidate that came by itself; text as in `a=candidate:`. One that cannot be used is passed over.
    @discardableResult
    package func addRemoteCandidate(_ text: String, now: MonotonicTime) -> Bool {
        guard !hasEnded, let candidate = Candidate(parsing: text), configuration.keeps(candidate, .inbound) else {
            return false
        }
        let outcome = ice.addRemoteCandidate(candidate, now: now)
        pumpICE(now: now)
        return outcome == .added
    }

    /// The peer has no more candidates.
    package func endOfRemoteCandidates(now: MonotonicTime) {
        guard !hasEnded else { return }
        ice.endOfRemoteCandidates(now: now)
        pumpICE(now: now)
    }

    // MARK: - Ours

    /// What we tell the peer of ours: its values are those of `a=candidate` lines.
    package var localCandidates: [String] {
        ice.localCandidates.filter { configuration.keeps($0, .outbound) }.map(text(of:))
    }

    /// Goes by one more path from now on. The peer is to be told, unless a description that is still to be written does.
    package func addLocalCandidate(_ candidate: LocalCandidate, now: MonotonicTime) {
        guard !hasEnded, !configuration.onlyRelays || candidate.kind == .relay else { return }
        guard ice.add(candidate) else { return }
        pumpICE(now: now)
        guard let added = ice.localCandidates.last, configuration.keeps(added, .outbound) else { return }
        trickle(text(of: added))
    }

    /// Goes by this path no more.
    package func removeLocalCandidates(path: Int, now: MonotonicTime) {
        guard !hasEnded else { return }
        ice.removeLocalCandidates(path: path, now: now)
        pumpICE(now: now)
    }

    /// No more of them come, as far as anybody knows.
    package func endOfLocalCandidates() {
        guard !hasEnded else { return }
        if isGathering {
            isGathering = false
            if sessionVersion > 0 { emit(.localCandidate(nil)) }
        }
        // In a call that was connected it may be back before consent runs out.
        if configuration.onlyRelays, phase == .connecting, ice.localCandidates.isEmpty { emit(.noRelay) }
    }

    private func trickle(_ candidate: String) {
        guard sessionVersion > 0 else { return }
        emit(
            .localCandidate(
                TrickledCandidate(
                    candidate: candidate, mid: remote?.audio.mid, mediaIndex: remote?.audio.mediaIndex ?? 0)))
    }

    private func text(of candidate: Candidate) -> String {
        var candidate = candidate
        // What the policy keeps back does not stand in another candidate either (RFC 8839 §5.1).
        if let base = candidate.relatedAddress,
            !ice.localCandidates.contains(where: { $0.address == .ip(base) && configuration.keeps($0, .outbound) })
        {
            candidate.relatedAddress =
                base.family == .ipv4 ? SocketAddress(ipv4: 0, port: 9) : SocketAddress(ipv6: 0, 0, port: 9)
        }
        return candidate.description
    }
}

extension Agent {
    @discardableResult
    mutating func add(_ candidate: PeerConnection.LocalCandidate) -> Bool {
        addLocalCandidate(
            address: candidate.address, path: candidate.path, kind: candidate.kind, transport: candidate.transport,
            relatedAddress: candidate.relatedAddress)
    }
}
