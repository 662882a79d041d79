import Audio
import DTLS
package import ICE
import RTP
import SDP
import SRTP
package import Wire

/// One call's whole stack, ICE, DTLS, SRTP, RTP and audio, as one state machine.
///
/// Datagrams, time and signaling go in; datagrams are appended to the owner's batch, and events wait for `poll`. After
/// every call into it the owner polls, and asks for the `deadline`. It is not `Sendable`: one thread owns it.
package final class PeerConnection {
    /// What became of a datagram.
    package enum Reception: Sendable, Equatable {
        /// A STUN message proved who sent it: from now on this path and address lead here, and the displaced ones do not.
        case authenticated(displacing: Tuple?)
        case handled
        case dropped
    }

    let configuration: Configuration
    let batch: DatagramBatch
    var randomness: RandomSource
    package let ssrc: UInt32
    let cname: String
    let sessionID: UInt64
    var sessionVersion: UInt64 = 0

    var ice: Agent
    /// Counts up when `localUfrags` changes.
    package private(set) var ufragGeneration = 0
    /// Whether candidates of ours may come yet: `.localCandidate(nil)` is the end of it.
    package internal(set) var isGathering: Bool
    /// The user fragments by which requests find this connection: one, or two during an ICE restart.
    package private(set) var localUfrags: [String]
    var remote: RemoteParameters?
    var dtls: Connection?
    var dtlsRole: Connection.Role?
    /// Handshakes that failed, of how many, and when the last one has to be through.
    var dtlsAttempts = 0
    static let dtlsAttempts = 3
    var dtlsEnd: MonotonicTime?
    var media: MediaSession?
    /// The most complexity that the encoder may have, 0 … 10; never less than its settings allow.
    package var complexityLimit = 10 {
        didSet { media?.limitComplexity(to: complexityLimit) }
    }
    var dtlsLimiter: RateLimiter
    var statistics = CallStatistics()

    private var events: [Event] = []
    private(set) var phase = Phase.connecting
    /// The owner was told that nothing comes from the peer.
    var isLost = false
    private let connectDeadline: MonotonicTime

    enum Phase {
        case connecting, connected, ended
    }

    /// - Parameter batch: where datagrams to send are put.
    package init(_ configuration: Configuration, batch: DatagramBatch, now: MonotonicTime) {
        self.configuration = configuration
        self.batch = batch
        var randomness = configuration.randomness
        ssrc = UInt32(truncatingIfNeeded: randomness.next() | 1)
        cname = randomness.iceCharacters(16)
        sessionID = randomness.next() >> 2
        let credentials = Credentials.random(&randomness)
        localUfrags = [credentials.ufrag]
        var agent = Agent.Configuration(
            role: configuration.role == .offering ? .controlling : .controlled, credentials: credentials,
            tieBreaker: randomness.next(), transactionTag: configuration.tag, randomness: randomness,
            mayDial: configuration.dialRules)
        agent.isLite = configuration.isLite && configuration.role == .answering
        ice = Agent(agent, now: now)
        isGathering = configuration.isGathering
        for candidate in configuration.candidates where !configuration.onlyRelays || candidate.kind == .relay {
            ice.add(candidate)
        }
        self.randomness = randomness
        dtlsLimiter = RateLimiter(perSecond: 60, now: now)
        connectDeadline = now + configuration.connectTimeout
    }

    /// The name that `configuration.tag` gave.
    package var tag: UInt32 { configuration.tag }

    package var signalingHost: SocketAddress? { configuration.signalingHost }

    package var hasEnded: Bool { phase == .ended }

    /// Whether media goes to `tuple` and its peer was heard within the last seconds.
    package func isInUse(_ tuple: Tuple) -> Bool {
        ice.selected == tuple && ice.state == .connected
    }

    // MARK: - Time

    /// When `handleTimeout` has something to do; nil when only a datagram or a call can bring it on.
    package var deadline: MonotonicTime? {
        guard phase != .ended else { return nil }
        var earliest = phase == .connecting ? connectDeadline : nil
        func consider(_ time: MonotonicTime?) {
            guard let time else { return }
            earliest = earliest.map { min($0, time) } ?? time
        }
        consider(ice.deadline)
        consider(dtls?.deadline)
        consider(media?.deadline)
        return earliest
    }

    /// When the next frame of sound is to be sent; nil while there is nothing to say.
    package var sendTick: MonotonicTime? { media?.sendTick }

    /// Does what has become due by `now`.
    package func handleTimeout(now: MonotonicTime) {
        guard phase != .ended else { return }
        if phase == .connecting, now >= connectDeadline {
            return end(.connectTimeout, now: now)
        }
        if let due = ice.deadline, due <= now {
            ice.handleTimeout(now: now)
            pumpICE(now: now)
        }
        if !hasEnded, let dtls, let due = dtls.deadline, due <= now {
            dtls.handleTimeout(now: now)
            pumpDTLS(now: now)
        }
        if !hasEnded, let media, media.deadline <= now {
            media.handleTimeout(now: now, to: ice.selected, batch: batch, statistics: &statistics)
        }
    }

    // MARK: - Events and the end

    /// The next thing the owner should know.
    package func poll() -> Event? {
        events.isEmpty ? nil : events.removeFirst()
    }

    func emit(_ event: Event) {
        events.append(event)
    }

    /// Ends the call: says BYE and close_notify, and stops.
    package func close(now: MonotonicTime) {
        end(.closed, now: now)
    }

    func end(_ reason: EndReason, now: MonotonicTime) {
        guard phase != .ended else { return }
        phase = .ended
        media?.sayGoodbye(now: now, to: ice.selected, batch: batch)
        if let dtls {
            dtls.close()
            sendDTLS(dtls)
        }
        ice.close()
        emit(.ended(reason, currentStatistics()))
    }

    func didConnect() {
        guard phase == .connecting else { return }
        phase = .connected
        emit(.connected)
    }

    var isConnected: Bool { phase == .connected }

    // MARK: - Statistics

    /// A snapshot.
    package func currentStatistics() -> CallStatistics {
        var snapshot = statistics
        media?.add(to: &snapshot)
        snapshot.roundTripTime = snapshot.roundTripTime ?? ice.roundTripTime
        snapshot.inputDepth = configuration.input.depth
        snapshot.inputFramesDropped = configuration.input.dropped
        let playout = configuration.output.figures
        (snapshot.playoutDepth, snapshot.playoutClears, snapshot.playoutMarks) =
            (playout.depth, playout.clears, playout.marks)
        return snapshot
    }

    // MARK: - Local description

    func restartICE(now: MonotonicTime) {
        let credentials = Credentials.random(&randomness)
        ice.restart(credentials: credentials, now: now)
        localUfrags = [credentials.ufrag] + localUfrags.prefix(1)
        ufragGeneration += 1
    }
}
