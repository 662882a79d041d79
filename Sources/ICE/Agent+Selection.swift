internal import Wire

/// Nomination (RFC 8445 §8) and consent (RFC 7675).
extension Agent {
    /// A controlling agent with a valid pair and no selection gives better pairs a moment.
    mutating func scheduleNomination(_ now: MonotonicTime) {
        guard role == .controlling, nominateAt == nil, pairs.contains(where: { mayNominate($0, now) }),
            !pairs.contains(where: { $0.isNominating && $0.attempts < Timing.nominations })
        else { return }
        nominateAt = now + Timing.nomination
    }

    private func mayNominate(_ pair: Pair, _ now: MonotonicTime) -> Bool {
        guard pair.generation == current.number, pair.isValid(now) else { return false }
        // One that is nominated and does not answer gives way to one that does.
        let nominated = pairs.first(where: \.isNominating)
        if let nominated, nominated.id == pair.id || pair.lastResponse ?? .zero <= nominated.lastResponse ?? .zero {
            return false
        }
        return !hasSelection || isInDoubt(now) && outlives(pair, now)
    }

    mutating func nominateIfDue(_ now: MonotonicTime) {
        guard let nominateAt else { return }
        let best = pairs.indices.filter { mayNominate(pairs[$0], now) }
            .max { priority(pairs[$0]) < priority(pairs[$1]) }
        let bestPriority = best.map { priority(pairs[$0]) } ?? 0
        let isNoneBetter =
            current.hasAllCandidates
            && !pairs.contains { pair in
                pair.generation == current.number && pair.isPending && priority(pair) > bestPriority
            }
        guard now >= nominateAt || isNoneBetter else { return }
        self.nominateAt = nil
        guard let best else { return }
        for index in pairs.indices { pairs[index].isNominating = index == best }
        pairs[best].attempts = 0
        // Pacing is for addresses that have not answered yet (RFC 8445 §14.1): this one has, and the call waits for it.
        sendNextCheck(best, now)
    }

    /// A nominated pair that is valid. Whatever is nominated last is selected, so that the peer can change its mind
    /// (§8.1.1); but a peer that nominates with every check (RFC 5245 §8.1.1.2) means the pair of highest priority.
    mutating func considerSelecting(_ index: Int, _ now: MonotonicTime) {
        let isMeant = role == .controlled || pairs[index].isNominating
        pairs[index].lastNomination = now
        pairs[index].awaitsSelection = false
        pairs[index].isNominating = false
        guard pairs[index].id != selectedPair else { return }
        if let other = self.index(of: selectedPair) {
            let (new, old) = (pairs[index], pairs[other])
            let isHeld = old.lastNomination.map { now < $0 + Timing.nominationHold } ?? false
            guard isMeant, new.generation >= old.generation,
                role == .controlling || new.generation > old.generation || new.wasCheckedPlainly || !isHeld
                    || priority(new) > priority(old)
            else { return }
        }
        select(index, now)
    }

    mutating func select(_ index: Int, _ now: MonotonicTime) {
        let pair = pairs[index]
        selectedPair = pair.id
        consentedAt = now
        consentCheck = nil
        (askedAt, lastMedia, awaitsMedia) = (nil, nil, false)
        selected = pair.tuple
        outputs.append(.selected(pair.tuple))
        enter(.connected)
        nextConsent = now + consentInterval()
        // The other checks end here (§8.1.2); one that the peer still wants is triggered again by its request.
        for other in pairs.indices where other != index && pairs[other].isPending && !pairs[other].awaitsSelection {
            guard pairs[other].generation == pair.generation else { continue }
            pairs[other].phase = .failed
            pairs[other].isNominating = false
        }
        if pair.generation == current.number, previous != nil {
            previous = nil
            pairs.removeAll { $0.generation != current.number }
        }
    }

    /// Asks for consent, warns when the peer falls silent, and stops sending when consent has run out.
    mutating func keepConsent(_ now: MonotonicTime) {
        guard let index = index(of: selectedPair), let response = pairs[index].lastResponse else {
            if let failAt = current.failAt, now >= failAt { stop(.failed) }
            return
        }
        guard now < response + Timing.consentLifetime else {
            loseConsent(now)
            return
        }
        let isSilent = lastSign.map { now >= $0 + Timing.silence } ?? true
        enter(isSilent ? .disconnected : .connected)
        if awaitsMedia, let lastSign, now >= lastSign + Timing.pause {
            awaitsMedia = false
            suspect(now)
        }
        if now >= nextConsent {
            if doubtAt == nil { (askedAt, nextProbe) = (now, now) }
            nextConsent = now + consentInterval()
            // Nominating it again tells a peer whose address a NAT has changed where to send (RFC 8445 §8.1.1).
            consentCheck = sendCheck(index, useCandidate: role == .controlling, now).map { id, datagram in
                ConsentCheck(id: id, datagram: datagram, repeatAt: now + Timing.consentRepeat)
            }
        } else if var check = consentCheck, now >= check.repeatAt {
            transmit(check.datagram, pairs[index].tuple)
            transactions[check.id]?.isRepeated = true
            check.repeatsLeft -= 1
            check.repeatAt = now + Timing.consentRepeat
            consentCheck = check.repeatsLeft > 0 ? check : nil
        }
    }

    /// 0.8 … 1.2 of the basic interval, so that many agents do not ask in step (RFC 7675 §5.1).
    private func consentInterval() -> Duration {
        Timing.consent * (0.8 + 0.4 * Double(randomness.next() >> 32) / 0x1p32)
    }

    private mutating func loseConsent(_ now: MonotonicTime) {
        guard !hasSelection, let failAt = current.failAt, now < failAt else {
            stop(.failed)
            return
        }
        // A restart is under way, and may still find a pair.
        previous = nil
        pairs.removeAll { $0.generation != current.number }
        (selected, selectedPair) = (nil, nil)
        enter(.checking)
    }
}
