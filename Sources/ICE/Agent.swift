internal import STUN
package import Wire

/// A full ICE agent for one component (RFC 8445), as a value: datagrams and time go in, `poll()` hands out effects.
///
/// Pairs are not frozen (RFC 8445 §6.1.2.6): with one component and one stream that only orders checks, which priority
/// does here. A repeated check is a new transaction, so every response gives a true round trip.
package struct Agent: Sendable {
    package internal(set) var role: Role
    package internal(set) var state = State.new
    /// Where to send media. Nil before a pair is selected, and again once consent has run out.
    package internal(set) var selected: Tuple?
    /// When to call `handleTimeout`; nil when there is nothing to wait for.
    package var deadline: MonotonicTime? {
        // What moves with every packet stands apart, so that a packet brings nothing about but a later deadline.
        guard awaitsMedia, selected != nil, let lastSign else { return timer }
        return min(timer ?? lastSign + Timing.pause, lastSign + Timing.pause)
    }
    package internal(set) var counters = Counters()

    let isLite: Bool
    var tieBreaker: UInt64
    let transactionTag: UInt32
    let randomness: RandomSource
    let mayDial: DialRules
    let limits: Limits

    var locals: [Local] = []
    var localsMade = 0
    var current: Generation
    /// Before a restart; lives until the current one has selected a pair.
    var previous: Generation?
    var pairs: [Pair] = []
    var nextPairID = 0
    var selectedPair: Int?
    /// Ids of pairs to check before any other (RFC 8445 §6.1.4.1).
    var triggered: [Int] = []
    var transactions: [TransactionID: Transaction] = [:]
    var validated: [Validated] = []
    /// No check is sent before.
    var nextCheck: MonotonicTime
    /// When a controlling agent nominates the best of its valid pairs.
    var nominateAt: MonotonicTime?
    var nextConsent: MonotonicTime
    var consentCheck: ConsentCheck?
    /// When the peer last answered on the pair that was selected.
    var consentedAt: MonotonicTime?
    /// When the selected pair was asked first for what it has not answered.
    var askedAt: MonotonicTime?
    /// When media came on the selected pair, and whether it may be missed.
    var lastMedia: MonotonicTime?
    var awaitsMedia = false
    /// While the selected pair is in doubt: when the others are checked again.
    var nextProbe: MonotonicTime
    /// The deadline but for missing media.
    var timer: MonotonicTime?
    var outputs: [Output] = []

    package init(_ configuration: Configuration, now: MonotonicTime) {
        isLite = configuration.isLite
        role = isLite ? .controlled : configuration.role
        tieBreaker = configuration.tieBreaker
        transactionTag = configuration.transactionTag
        randomness = configuration.randomness
        mayDial = configuration.mayDial
        limits = configuration.limits
        current = Generation(number: 0, local: configuration.credentials, checksLeft: limits.checks)
        nextCheck = now
        nextConsent = now
        nextProbe = now
    }

    /// The next effect, until nil. To be emptied after every call that takes a time.
    package mutating func poll() -> Output? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// Whether DTLS and SRTP from `remote` may be looked at: it has shown that it knows the password.
    package func isValidated(path: Int, remote: SocketAddress) -> Bool {
        for entry in validated where entry.tuple.remote == remote && entry.tuple.path == path { return true }
        return false
    }

    /// Round trip of the latest check on the selected pair.
    package var roundTripTime: Duration? {
        pairs.first { $0.id == selectedPair }?.roundTripTime
    }

    /// What the peer has to know now: its ufrag and password for us.
    package var localCredentials: Credentials { current.local }

    // MARK: - Candidates and credentials

    /// Adds a candidate of our own.
    ///
    /// - Parameters:
    ///   - path: index of the local socket that sends for it; a relayed candidate has a path of its own.
    ///   - kind: a server-reflexive candidate is only told to the peer, since its checks would be those of its base.
    ///   - transport: a TCP candidate is passive, and only told to the peer, who connects (RFC 6544).
    /// - Returns: false where it is nothing new: a path has one server-reflexive address, the first that was found.
    @discardableResult
    package mutating func addLocalCandidate(
        address: SocketAddress, path: Int, kind: Candidate.Kind = .host, transport: Candidate.Transport = .udp,
        relatedAddress: SocketAddress? = nil
    ) -> Bool {
        guard kind != .srflx || !locals.contains(where: { $0.path == path && $0.candidate.kind == .srflx }) else {
            return false
        }
        let base = relatedAddress ?? address
        let sameBase = locals.first {
            $0.candidate.kind == kind && $0.candidate.transport == transport && $0.base.hasHost(of: base)
        }
        let preference = UInt16(clamping: 0xffff - localsMade)
        localsMade += 1
        let candidate = Candidate(
            foundation: sameBase?.candidate.foundation ?? String(localsMade), transport: transport,
            priority: Candidate.priority(kind, transport, localPreference: preference), address: .ip(address),
            kind: kind, relatedAddress: relatedAddress, tcpType: transport == .tcp ? .passive : nil)
        locals.append(
            Local(candidate: candidate, family: address.family, base: base, path: path, preference: preference))
        guard state == .checking || state == .connected || state == .disconnected else { return true }
        formPairs(now: nextCheck)
        timer = min(timer ?? nextCheck, nextCheck)
        return true
    }

    /// Takes back the candidates of a path that is no more, such as a relay's. Media that went by it stops, and whatever
    /// else there is gets checked anew.
    package mutating func removeLocalCandidates(path: Int, now: MonotonicTime) {
        guard state != .closed, state != .failed, locals.contains(where: { $0.path == path }) else { return }
        locals.removeAll { $0.path == path }
        validated.removeAll { $0.tuple.path == path }
        let isSelected = selected?.path == path
        pairs.removeAll { $0.tuple.path == path }
        guard isSelected else { return }
        (selected, selectedPair, consentCheck) = (nil, nil, nil)
        enter(.disconnected)
        current.failAt = now + Timing.consentLifetime
        current.checksLeft = limits.checks
        for index in pairs.indices where pairs[index].phase == .failed {
            pairs[index].phase = .waiting
            pairs[index].attempts = 0
            pairs[index].due = now
        }
        scheduleNomination(now)
        advance(now)
    }

    /// Our candidates, in the order they were added.
    package var localCandidates: [Candidate] { locals.map(\.candidate) }

    /// Gives the agent the peer's credentials, upon which checks start. A change of credentials is a `restart` first.
    ///
    /// - Parameter isLite: whether the peer sends no checks (RFC 8445 §6.1.1), so that this agent has to be controlling.
    package mutating func setRemoteCredentials(
        _ credentials: Credentials, isLite peerIsLite: Bool = false, now: MonotonicTime
    ) {
        guard state != .closed, current.remote == nil else { return }
        if peerIsLite, !isLite, role == .controlled { take(.controlling, now) }
        current.remote = credentials
        let patience = now + Timing.patience
        current.failAt = consentedAt.map { min(patience, $0 + Timing.recovery) } ?? patience
        current.signalled.removeAll { $0.ufrag != nil && $0.ufrag != credentials.ufrag }
        nextCheck = max(nextCheck, now)
        if state == .new { enter(.checking) }
        formPairs(now: now)
        let early = current.early
        current.early = []
        for request in early where request.remoteUfrag == credentials.ufrag {
            accept(request, generation: current.number, now: now)
        }
        advance(now)
    }

    /// Adds a candidate that the peer has signalled for the current credentials.
    package mutating func addRemoteCandidate(_ candidate: Candidate, now: MonotonicTime) -> AddOutcome {
        guard state != .closed, state != .failed else { return .ignored(.closed) }
        guard candidate.component == 1 else { return .ignored(.wrongComponent) }
        guard candidate.transport == .udp else { return .ignored(.unsupportedTransport) }
        guard case .ip(let address) = candidate.address else { return .ignored(.hostName) }
        if let ufrag = candidate.ufrag, let remote = current.remote, ufrag != remote.ufrag {
            return .ignored(.otherGeneration)
        }
        guard mayDial.allows(address) else { return .ignored(.forbiddenAddress) }
        guard !current.signalled.contains(where: { $0.address == candidate.address }) else { return .duplicate }
        guard current.signalled.count < limits.remoteCandidates else { return .ignored(.tooMany) }
        current.signalled.append(candidate)
        formPairs(now: now)
        advance(now)
        return .added
    }

    /// The peer has no more candidates, so the best pair need not be waited for once all have been tried.
    package mutating func endOfRemoteCandidates(now: MonotonicTime) {
        current.hasAllCandidates = true
        advance(now)
    }

    // MARK: - Life

    /// Starts over with new local credentials (RFC 8445 §9). Media goes on over the old pair until a new one is selected.
    package mutating func restart(credentials: Credentials, now: MonotonicTime) {
        guard state != .closed else { return }
        if selected == nil || hasSelection {  // else the selected pair is still that of the previous generation
            previous = state == .failed || current.remote == nil ? nil : current
        }
        current = Generation(number: current.number + 1, local: credentials, checksLeft: limits.checks)
        pairs.removeAll { $0.id != selectedPair }
        triggered = []
        nominateAt = nil
        nextCheck = max(nextCheck, now)
        if selected == nil { enter(.new) }
        advance(now)
    }

    /// Stops for good: nothing more is sent or accepted.
    package mutating func close() {
        guard state != .closed else { return }
        outputs = []
        stop(.closed)
    }

    /// To be called at `deadline`; harmless at any other time.
    package mutating func handleTimeout(now: MonotonicTime) {
        advance(now)
    }

    mutating func enter(_ state: State) {
        guard state != self.state else { return }
        self.state = state
        outputs.append(.state(state))
    }

    mutating func stop(_ state: State) {
        pairs = []
        triggered = []
        transactions = [:]
        validated = []
        selected = nil
        selectedPair = nil
        (previous, consentedAt) = (nil, nil)
        nominateAt = nil
        timer = nil
        enter(state)
    }
}
