internal import STUN
package import Wire

/// Datagrams from the network (RFC 8445 §7.2.5, §7.3).
extension Agent {
    /// Takes a datagram that looks like STUN.
    ///
    /// A sender that does not know the password gets no answer of any kind, so the agent reflects nothing.
    /// - Parameters:
    ///   - path: index of the local socket it came to.
    ///   - source: where it came from.
    package mutating func receive(
        _ datagram: Span<UInt8>, path: Int, from source: SocketAddress, now: MonotonicTime
    ) -> Reception {
        counters.received += 1
        let tuple = Tuple(path: path, remote: source)
        if let fault = read(datagram, tuple, now) {
            counters[fault] += 1
            return .dropped(fault)
        }
        let displaced = validate(tuple, now)
        advance(now)
        return .authenticated(displacing: displaced)
    }

    private mutating func read(_ datagram: Span<UInt8>, _ tuple: Tuple, _ now: MonotonicTime) -> DropReason? {
        guard state != .closed, state != .failed else { return .closed }
        guard locals.contains(where: { $0.path == tuple.path }) else { return .unknownPath }
        guard mayDial.allows(tuple.remote) else { return .forbiddenAddress }
        guard let message = try? STUNMessage(parsing: datagram) else { return .malformed }
        guard message.method == STUNMessage.binding else { return .notBinding }
        switch message.class {
        case .indication: return .indication
        case .request: return readRequest(message, tuple, now)
        case .success, .error: return readResponse(message, tuple, now)
        }
    }

    /// Adds a tuple to the validated ones. Returns the tuple it displaces.
    private mutating func validate(_ tuple: Tuple, _ now: MonotonicTime) -> Tuple? {
        if let index = validated.firstIndex(where: { $0.tuple == tuple }) {
            validated[index].lastHeard = now
            return nil
        }
        validated.append(Validated(tuple: tuple, lastHeard: now))
        guard validated.count > limits.tuples else { return nil }
        let oldest = validated.indices.filter { validated[$0].tuple != selected && validated[$0].tuple != tuple }
            .min { validated[$0].lastHeard < validated[$1].lastHeard }
        return oldest.map { validated.remove(at: $0).tuple }
    }

    // MARK: - Requests

    private mutating func readRequest(_ message: STUNMessage, _ tuple: Tuple, _ now: MonotonicTime) -> DropReason? {
        let names = message.username?.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false) ?? []
        guard names.count == 2, let generation = generation(withLocalUfrag: names[0]) else { return .unknownUfrag }
        let remoteUfrag = String(names[1])
        guard generation.remote == nil || generation.remote?.ufrag == remoteUfrag else { return .unknownUfrag }
        guard message.hasIntegrity(key: generation.local.key) else { return .badIntegrity }
        guard message.unknownRequired.isEmpty else {
            respond(to: message, tuple, generation.local, error: 420, "Unknown Attribute")
            return nil
        }
        guard resolveRoles(message, now) else {
            respond(to: message, tuple, generation.local, error: 487, "Role Conflict")
            return nil
        }
        var response = STUNBuilder(.success, id: message.id)
        response.add(xorMappedAddress: tuple.remote)
        transmit(response.finish(key: generation.local.key), tuple)
        let request = Request(
            tuple: tuple, remoteUfrag: remoteUfrag, priority: message.priority, useCandidate: message.useCandidate)
        if generation.remote == nil {
            keepForLater(request)
        } else {
            accept(request, generation: generation.number, now: now)
        }
        return nil
    }

    private mutating func respond(
        to request: STUNMessage, _ tuple: Tuple, _ local: Credentials, error: Int, _ reason: String
    ) {
        var response = STUNBuilder(.error, id: request.id)
        response.add(errorCode: error, reason: reason)
        if error == 420 { response.add(unknownAttributes: request.unknownRequired) }
        transmit(response.finish(key: local.key), tuple)
    }

    /// Both sides in one role: the larger tie-breaker is controlling (RFC 8445 §7.3.1.1). False when the peer has to yield.
    private mutating func resolveRoles(_ message: STUNMessage, _ now: MonotonicTime) -> Bool {
        switch role {
        case .controlling:
            guard let theirs = message.iceControlling else { return true }
            if tieBreaker >= theirs { return false }
            take(.controlled, now)
        case .controlled:
            guard let theirs = message.iceControlled else { return true }
            if isLite || tieBreaker < theirs { return false }
            take(.controlling, now)
        }
        return true
    }

    mutating func take(_ role: Role, _ now: MonotonicTime) {
        self.role = role
        nominateAt = nil
        for index in pairs.indices {
            pairs[index].isNominating = false
            pairs[index].awaitsSelection = false
        }
        scheduleNomination(now)
    }

    private mutating func keepForLater(_ request: Request) {
        if let index = current.early.firstIndex(where: { $0.tuple == request.tuple }) {
            current.early[index].useCandidate = request.useCandidate || current.early[index].useCandidate
        } else if current.early.count < limits.tuples {
            current.early.append(request)
        }
    }

    /// Learns from an authenticated request: the sender's address, its wish for a check, its nomination.
    mutating func accept(_ request: Request, generation: Int, now: MonotonicTime) {
        guard let index = findOrMakePair(request, generation, now) else { return }
        pairs[index].isInvited = true
        pairs[index].lastHeard = now
        pairs[index].lastAsked = now
        if pairs[index].id != selectedPair { suspect(now) }
        let isValid = pairs[index].isValid(now)
        if !request.useCandidate || role == .controlling {
            pairs[index].wasCheckedPlainly = true
        } else if isValid {
            considerSelecting(index, now)
        } else {
            pairs[index].awaitsSelection = true
        }
        guard !isValid else { return }
        if isLite, !pairs[index].awaitsSelection {
            // It is asked once it is nominated, and not before.
            pairs[index].phase = .failed
        } else if pairs[index].phase == .inProgress {
            // At once the first time: the check under way may have met a NAT that this request has opened (RFC 8445 §7.3.1.4).
            // Then no more: two agents whose responses are lost would answer each other's checks with checks for ever.
            let wait = pairs[index].wasTriggered ? Timing.firstRepeat : .zero
            pairs[index].wasTriggered = true
            pairs[index].due = min(pairs[index].due, now + wait)
        } else {
            trigger(index)
        }
    }

    private mutating func findOrMakePair(_ request: Request, _ generation: Int, _ now: MonotonicTime) -> Int? {
        if let index = pairs.firstIndex(where: { $0.generation == generation && $0.tuple == request.tuple }) {
            return index
        }
        guard let local = locals.first(where: { $0.path == request.tuple.path }) else { return nil }
        let reflexive = pairs.indices.filter { pairs[$0].remoteKind == .prflx && pairs[$0].id != selectedPair }
        if reflexive.count >= limits.tuples || pairs.count >= limits.pairs {
            let oldest = reflexive.min { (pairs[$0].lastHeard ?? .zero) < (pairs[$1].lastHeard ?? .zero) }
            guard let oldest else { return nil }
            pairs.remove(at: oldest)
        }
        let priority = request.priority ?? Candidate.priority(.prflx, localPreference: 0)
        addPair(local, request.tuple, priority, .prflx, generation: generation, now: now)
        return pairs.count - 1
    }

    // MARK: - Responses

    private mutating func readResponse(_ message: STUNMessage, _ tuple: Tuple, _ now: MonotonicTime) -> DropReason? {
        guard let transaction = transactions[message.id], let index = index(of: transaction.pair),
            let remote = generation(transaction.generation)?.remote
        else { return .unknownTransaction }
        guard transaction.tuple == tuple else { return .asymmetric }
        guard message.hasIntegrity(key: remote.key) else { return .badIntegrity }
        transactions[message.id] = nil
        pairs[index].isInvited = true
        pairs[index].lastHeard = now
        if message.class == .error {
            // A stale 487, to a check in a role that is no longer ours, changes nothing (RFC 8445 §7.2.5.1).
            if message.errorCode == 487, transaction.role == role, !isLite {
                // Two with the same one would else change roles in step for ever.
                tieBreaker = randomness.next()
                take(role == .controlling ? .controlled : .controlling, now)
                trigger(index)
            }
            return nil
        }
        pairs[index].lastResponse = now
        if pairs[index].id == selectedPair { consentedAt = now }
        if !transaction.isRepeated { pairs[index].roundTripTime = now - transaction.sentAt }
        if consentCheck?.id == message.id { consentCheck = nil }
        let isAnswerToNomination = transaction.useCandidate && role == .controlling
        if pairs[index].isNominating, !isAnswerToNomination { return nil }
        pairs[index].phase = .succeeded
        if isAnswerToNomination || pairs[index].awaitsSelection { considerSelecting(index, now) }
        scheduleNomination(now)
        return nil
    }
}
