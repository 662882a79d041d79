internal import STUN
internal import Wire

/// The checklist: which pairs there are, and what is sent when.
extension Agent {
    /// Pairs every local candidate that sends with every signalled one of its family (RFC 8445 §6.1.2.2).
    mutating func formPairs(now: MonotonicTime) {
        guard current.remote != nil, !isLite else { return }
        for candidate in current.signalled {
            guard case .ip(let remote) = candidate.address else { continue }
            for local in locals where local.sendsChecks && local.family == remote.family {
                let tuple = Tuple(path: local.path, remote: remote)
                if let index = pairs.firstIndex(where: { $0.generation == current.number && $0.tuple == tuple }) {
                    // A peer-reflexive candidate turns out to be this one (RFC 8445 §7.3.1.3): its pair keeps its state.
                    guard pairs[index].remoteKind == .prflx else { continue }
                    pairs[index].remoteKind = candidate.kind
                    pairs[index].remotePriority = candidate.priority
                } else if pairs.count < limits.pairs - limits.tuples {
                    addPair(local, tuple, candidate.priority, candidate.kind, generation: current.number, now: now)
                }
            }
        }
    }

    mutating func addPair(
        _ local: Local, _ tuple: Tuple, _ priority: UInt32, _ kind: Candidate.Kind, generation: Int, now: MonotonicTime
    ) {
        pairs.append(
            Pair(
                id: nextPairID, generation: generation, tuple: tuple, localPriority: local.candidate.priority,
                remotePriority: priority, remoteKind: kind, due: now))
        nextPairID += 1
    }

    /// Puts a pair at the end of the triggered-check queue, from the start of its attempts (RFC 8445 §7.3.1.4).
    mutating func trigger(_ index: Int) {
        pairs[index].phase = .waiting
        pairs[index].attempts = 0
        if !triggered.contains(pairs[index].id) { triggered.append(pairs[index].id) }
    }

    /// Everything that is due by `now`; then the time when the next thing is.
    mutating func advance(_ now: MonotonicTime) {
        guard state != .closed, state != .failed else { return }
        keepConsent(now)
        guard state != .failed else { return }
        leaveSilentPair(now)
        refreshChecks(now)
        if now >= nextCheck { giveUpChecks(now) }
        nominateIfDue(now)
        if now >= nextCheck, let index = takeNextCheck(now) {
            sendNextCheck(index, now)
        }
        updateDeadline(now)
    }

    /// Until the peer has chosen among valid pairs they are checked again and again, as a NAT may move either side meanwhile
    /// (RFC 8445 §11).
    private mutating func refreshChecks(_ now: MonotonicTime) {
        for index in pairs.indices {
            guard let due = refreshDue(pairs[index]), due <= now else { continue }
            (pairs[index].phase, pairs[index].attempts, pairs[index].due) = (.waiting, 0, now)
        }
    }

    private func refreshDue(_ pair: Pair) -> MonotonicTime? {
        guard !isLite, pair.phase == .succeeded, pair.generation == current.number, !hasSelection else { return nil }
        return pair.lastResponse.map { $0 + Timing.refresh }
    }

    /// Fails the pairs that have been tried often enough, or may not be tried any more.
    private mutating func giveUpChecks(_ now: MonotonicTime) {
        for index in pairs.indices where pairs[index].isPending && pairs[index].due <= now {
            guard pairs[index].attempts >= Timing.attempts || (!pairs[index].isInvited && current.checksLeft == 0)
            else {
                continue
            }
            pairs[index].phase = .failed
            pairs[index].isNominating = false
        }
        scheduleNomination(now)
    }

    private mutating func takeNextCheck(_ now: MonotonicTime) -> Int? {
        while !triggered.isEmpty {
            if let index = index(of: triggered.removeFirst()), pairs[index].phase == .waiting { return index }
        }
        // Nearly always there is none, in the middle of a call, where nothing is to be allocated.
        var next: Int?
        for index in pairs.indices where pairs[index].isPending && pairs[index].due <= now {
            guard let other = next.map({ pairs[$0] }) else {
                next = index
                continue
            }
            let pair = pairs[index]
            if (pair.attempts, ~priority(pair)) < (other.attempts, ~priority(other)) { next = index }
        }
        return next
    }

    mutating func sendNextCheck(_ index: Int, _ now: MonotonicTime) {
        nextCheck = now + Timing.pacing
        if !pairs[index].isInvited { current.checksLeft -= 1 }
        pairs[index].phase = .inProgress
        pairs[index].due = now + min(Timing.firstRepeat * (1 << min(pairs[index].attempts, 8)), Timing.longestRepeat)
        pairs[index].attempts += 1
        sendCheck(index, useCandidate: pairs[index].isNominating && role == .controlling, now)
    }

    /// Sends a Binding request (RFC 8445 §7.2.2), under a transaction id of its own, and returns it.
    @discardableResult
    mutating func sendCheck(_ index: Int, useCandidate: Bool, _ now: MonotonicTime) -> (TransactionID, [UInt8])? {
        let pair = pairs[index]
        guard let generation = generation(pair.generation), let remote = generation.remote else { return nil }
        let id = TransactionID(tag: transactionTag, rest: randomness.next())
        var request = STUNBuilder(.request, id: id)
        request.add(username: remote.ufrag + ":" + generation.local.ufrag)
        let local = locals.first { $0.path == pair.tuple.path }
        request.add(
            priority: Candidate.priority(
                .prflx, local?.candidate.transport ?? .udp, localPreference: local?.preference ?? 0))
        switch role {
        case .controlled: request.add(iceControlled: tieBreaker)
        case .controlling: request.add(iceControlling: tieBreaker)
        }
        if useCandidate { request.addUseCandidate() }
        let datagram = request.finish(key: remote.key)
        transmit(datagram, pair.tuple)
        transactions = transactions.filter { now < $0.value.sentAt + Timing.transaction }
        transactions[id] = Transaction(
            pair: pair.id, generation: pair.generation, tuple: pair.tuple, role: role, useCandidate: useCandidate,
            sentAt: now)
        return (id, datagram)
    }

    mutating func transmit(_ datagram: [UInt8], _ tuple: Tuple) {
        counters.sent += 1
        outputs.append(.transmit(datagram, path: tuple.path, to: tuple.remote))
    }

    private mutating func updateDeadline(_ now: MonotonicTime) {
        var earliest = nominateAt
        func consider(_ time: MonotonicTime?) {
            guard let time else { return }
            earliest = min(earliest ?? time, time)
        }
        if selected == nil { consider(current.failAt) }
        if !triggered.isEmpty { consider(nextCheck) }
        for pair in pairs {
            if pair.isPending { consider(max(pair.due, nextCheck)) }
            consider(refreshDue(pair))
        }
        if let index = index(of: selectedPair), let response = pairs[index].lastResponse {
            consider(nextConsent)
            consider(response + Timing.consentLifetime)
            consider(consentCheck?.repeatAt)
            if !isLite, let doubtAt { consider(max(doubtAt, nextProbe)) }
            if state == .connected, let lastSign { consider(lastSign + Timing.silence) }
        }
        timer = earliest
    }
}
