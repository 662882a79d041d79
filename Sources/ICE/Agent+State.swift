internal import STUN
internal import Wire

extension Agent {
    /// A candidate of ours and the socket behind it.
    struct Local: Sendable {
        let candidate: Candidate
        let family: SocketAddress.Family
        let base: SocketAddress
        let path: Int
        let preference: UInt16

        /// Whether checks go out for it: not as those of its base, nor over a connection that the peer has yet to open.
        var sendsChecks: Bool { candidate.kind != .srflx && candidate.transport == .udp }
    }

    /// What belongs to one pair of credentials (RFC 8445 §9).
    struct Generation: Sendable {
        let number: Int
        let local: Credentials
        var remote: Credentials?
        var signalled: [Candidate] = []
        var hasAllCandidates = false
        /// Requests that came before the remote credentials, one a tuple.
        var early: [Request] = []
        /// When it is given up without a selected pair; nil before checks start.
        var failAt: MonotonicTime?
        /// Checks that may still go to addresses that have not shown the password.
        var checksLeft: Int

        init(number: Int, local: Credentials, checksLeft: Int) {
            self.number = number
            self.local = local
            self.checksLeft = checksLeft
        }
    }

    /// An authenticated Binding request, as far as checks are concerned.
    struct Request: Sendable {
        let tuple: Tuple
        let remoteUfrag: String
        let priority: UInt32?
        var useCandidate: Bool
    }

    /// A candidate pair (RFC 8445 §6.1.2). Only those exist that have credentials to check with.
    struct Pair: Sendable {
        enum Phase: Sendable {
            case waiting, inProgress, succeeded, failed
        }

        let id: Int
        let generation: Int
        let tuple: Tuple
        let localPriority: UInt32
        var remotePriority: UInt32
        var remoteKind: Candidate.Kind
        var phase = Phase.waiting
        var attempts = 0
        /// When the next check may go out.
        var due: MonotonicTime
        /// The address has shown the password, so that checks to it reflect nothing onto a stranger.
        var isInvited = false
        /// A request has already brought forward a check that was under way.
        var wasTriggered = false
        /// Controlling: its checks carry USE-CANDIDATE.
        var isNominating = false
        /// Controlled: USE-CANDIDATE came before the pair was valid (RFC 8445 §7.3.1.5).
        var awaitsSelection = false
        /// Controlled: it was checked without USE-CANDIDATE, so a later nomination is meant.
        var wasCheckedPlainly = false
        var lastNomination: MonotonicTime?
        /// When the peer checked it.
        var lastAsked: MonotonicTime?
        var lastHeard: MonotonicTime?
        var lastResponse: MonotonicTime?
        var roundTripTime: Duration?

        /// Whether the peer has answered on it recently enough to consent to media (RFC 7675 §5.1).
        func isValid(_ now: MonotonicTime) -> Bool {
            guard let lastResponse else { return false }
            return now < lastResponse + Timing.consentLifetime && phase != .failed
        }

        var isPending: Bool { phase == .waiting || phase == .inProgress }
    }

    /// A check that waits for its response.
    struct Transaction: Sendable {
        let pair: Int
        let generation: Int
        let tuple: Tuple
        let role: Role
        let useCandidate: Bool
        let sentAt: MonotonicTime
        /// A response might be to any of the copies, so it tells no round trip.
        var isRepeated = false
    }

    /// A consent check that has not been answered.
    struct ConsentCheck: Sendable {
        let id: TransactionID
        let datagram: [UInt8]
        var repeatAt: MonotonicTime
        var repeatsLeft = Timing.consentRepeats
    }

    struct Validated: Sendable {
        let tuple: Tuple
        var lastHeard: MonotonicTime
    }

    func generation(_ number: Int) -> Generation? {
        number == current.number ? current : number == previous?.number ? previous : nil
    }

    func generation(withLocalUfrag ufrag: Substring) -> Generation? {
        if current.local.ufrag == ufrag { return current }
        return previous?.local.ufrag == String(ufrag) ? previous : nil
    }

    func index(of pair: Int?) -> Int? {
        pairs.firstIndex { $0.id == pair }
    }

    /// RFC 8445 §6.1.2.3. Candidate priorities are cut to the 31 bits that §5.1.2 allows, so that this cannot overflow.
    func priority(_ pair: Pair) -> UInt64 {
        let (local, remote) = (UInt64(pair.localPriority & 0x7fff_ffff), UInt64(pair.remotePriority & 0x7fff_ffff))
        let (controlling, controlled) = role == .controlling ? (local, remote) : (remote, local)
        return min(local, remote) << 32 + 2 * max(local, remote) + (controlling > controlled ? 1 : 0)
    }

    /// Whether the current generation has a selected pair.
    var hasSelection: Bool {
        guard let index = index(of: selectedPair) else { return false }
        return pairs[index].generation == current.number
    }
}
