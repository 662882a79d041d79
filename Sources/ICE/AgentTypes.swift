package import Wire

/// A path for datagrams: one local socket and one remote address.
package struct Tuple: Hashable, Sendable {
    /// Index of the local socket.
    package var path: Int
    package var remote: SocketAddress

    package init(path: Int, remote: SocketAddress) {
        self.path = path
        self.remote = remote
    }
}

extension Agent {
    package enum Role: Sendable {
        case controlled, controlling
    }

    package enum State: Sendable {
        /// Waits for the remote credentials.
        case new
        case checking
        /// Media may flow to `selected`.
        case connected
        /// As `connected`, but nothing was heard from the peer for 6.5 s.
        case disconnected
        /// No pair worked in 39.5 s (RFC 8863), or consent ran out (RFC 7675). Only `restart` leads out.
        case failed
        case closed
    }

    package struct Configuration: Sendable {
        package var role: Role
        package var credentials: Credentials
        /// Settles which side is controlling when both think so (RFC 8445 §5.2); random.
        package var tieBreaker: UInt64
        /// First 32 bits of every transaction id, by which the owner of a shared port finds this agent.
        package var transactionTag: UInt32
        package var randomness: RandomSource
        package var mayDial: DialRules
        /// Answers checks and sends none but for consent (RFC 8445 §2.5): for an agent that everybody reaches. Such a one is
        /// controlled, and asks an address that is nominated before anything else goes there: a caller could otherwise
        /// nominate one that it only pretends to have (§19.5).
        package var isLite = false
        package var limits = Limits()

        package init(
            role: Role, credentials: Credentials, tieBreaker: UInt64, transactionTag: UInt32, randomness: RandomSource,
            mayDial: DialRules
        ) {
            self.role = role
            self.credentials = credentials
            self.tieBreaker = tieBreaker
            self.transactionTag = transactionTag
            self.randomness = randomness
            self.mayDial = mayDial
        }
    }

    /// What a peer can make an agent hold and send.
    package struct Limits: Sendable {
        /// Signalled candidates per generation.
        package var remoteCandidates = 32
        /// Pairs, of which `tuples` are kept for peer-reflexive ones.
        package var pairs = 100
        /// Validated tuples; the one heard from longest ago gives way.
        package var tuples = 16
        /// Checks per generation, repetitions included, to addresses that have not shown the password (RFC 8445 §19.5.1).
        package var checks = 100

        package init() {}
    }

    package enum AddOutcome: Sendable, Equatable {
        case added
        case duplicate
        case ignored(IgnoreReason)
    }

    package enum IgnoreReason: Sendable {
        /// A name, such as mDNS `….local`, which is not resolved: the peer's own checks will show its address.
        case hostName
        /// The dial rules forbid the address.
        case forbiddenAddress
        case tooMany
        /// Its ufrag is not that of the current remote credentials.
        case otherGeneration
        /// TCP.
        case unsupportedTransport
        /// Not component 1.
        case wrongComponent
        case closed
    }

    /// What became of a datagram.
    package enum Reception: Sendable, Equatable {
        case dropped(DropReason)
        /// The sender knows the password: its tuple is validated now. `displacing` is a tuple that is no longer.
        case authenticated(displacing: Tuple?)
    }

    package enum DropReason: Int, Sendable, CaseIterable {
        case malformed, notBinding, indication, unknownPath, forbiddenAddress, unknownUfrag, badIntegrity
        case unknownTransaction, asymmetric, closed
    }

    package enum Output: Sendable, Equatable {
        case transmit([UInt8], path: Int, to: SocketAddress)
        case state(State)
        case selected(Tuple)
    }

    /// Datagrams since the agent was made.
    package struct Counters: Sendable {
        package internal(set) var received = 0
        package internal(set) var sent = 0
        private var dropped = [Int](repeating: 0, count: DropReason.allCases.count)

        /// How many were dropped for `reason`.
        package internal(set) subscript(reason: DropReason) -> Int {
            get { dropped[reason.rawValue] }
            set { dropped[reason.rawValue] = newValue }
        }
    }
}

/// The figures of ICE that are not settings.
enum Timing {
    /// Between two checks of one agent (RFC 8445 §14.2).
    static let pacing: Duration = .milliseconds(50)
    /// Before a check is repeated, doubled each time up to the longest (RFC 8445 §14.3; values as browsers use them).
    static let firstRepeat: Duration = .milliseconds(250)
    static let longestRepeat: Duration = .seconds(2)
    static let attempts = 10
    /// How long a controlling agent waits for a better pair once it has a valid one (RFC 8445 §8.1.1).
    static let nomination: Duration = .milliseconds(50)
    /// Checks that a nominated pair leaves unanswered, in 1.75 s, before another may be nominated instead.
    static let nominations = 4
    /// A nomination from an aggressive peer gives way to a lower pair's only when it is older than this.
    static let nominationHold: Duration = .seconds(1)
    /// Between checks of a valid pair while none is selected.
    static let refresh: Duration = .seconds(2)
    /// Patience for peer-reflexive candidates (RFC 8863 §4).
    static let patience: Duration = .milliseconds(39_500)
    /// How long a connection that is lost may take to come back, however often ICE is restarted for it.
    static let recovery: Duration = .seconds(45)
    /// Between consent checks, on average (RFC 7675 §5.1).
    static let consent: Duration = .seconds(5)
    /// A consent check that stays unanswered is sent again as it is (RFC 8489 §6.2.1): the interval may not be shortened,
    /// and single checks would end one call in six within an hour at 10 % loss.
    static let consentRepeats = 2
    static let consentRepeat: Duration = .seconds(1)
    static let consentLifetime: Duration = .seconds(30)
    /// Silence before the early warning: the longest consent interval and a round trip.
    static let silence: Duration = .milliseconds(6_500)
    /// Media that stops for this long makes an agent ask at once. Opus without sound has a packet every 400 ms.
    static let pause: Duration = .seconds(1)
    /// How long a check of a silent pair waits before other pairs are tried, and no less than two round trips.
    static let doubt: Duration = .milliseconds(500)
    /// How long a response is waited for.
    static let transaction: Duration = .seconds(10)
}
