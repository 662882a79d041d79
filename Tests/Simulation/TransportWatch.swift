import STUN
import Wire

@testable import ICE
@testable import WebRTC

/// Looks at every datagram that a connection gets and sends: what may go where, how much of it, and for how long.
struct TransportWatch {
    /// Checks are 50 ms apart; nominations and consent come on top.
    private static let requestsPerSecond = 30
    /// Checks wait for their answers for 10 s, so no more than 200 do; and the rest as above.
    private static let transactions = 256

    private let dialRules: DialRules
    private let limits = Agent.Limits()
    private var named: Set<SocketAddress> = []
    private var validated: Set<Tuple> = []
    private var exchanged: [Tuple: (received: Int, sent: Int)] = [:]
    /// When a check of ours was answered last.
    private var answered: [Tuple: MonotonicTime] = [:]
    private var requests: [TransactionID: (datagram: [UInt8], tuple: Tuple, count: Int)] = [:]
    private var checksToStrangers = (generation: 0, count: 0)
    private var requestsInSecond = (second: Int64(0), count: 0)
    /// Requests that came, less answers that went.
    private var owed = 0
    /// Before the last step.
    private var selected: Tuple?

    init(dialRules: DialRules) {
        self.dialRules = dialRules
    }

    /// Signaling has named this address.
    mutating func note(_ address: SocketAddress) {
        named.insert(address)
    }

    mutating func received(
        _ count: Int, _ kind: STUNMessage.Class?, _ tuple: Tuple, _ reception: PeerConnection.Reception,
        now: MonotonicTime
    ) {
        exchanged[tuple, default: (0, 0)].received += count
        if kind == .request { owed += 1 }
        guard case .authenticated(let displaced) = reception else { return }
        validated.insert(tuple)
        if let displaced { validated.remove(displaced) }
        if kind == .success { answered[tuple] = now }
    }

    /// - Returns: what is wrong with sending it.
    mutating func sent(_ datagram: [UInt8], _ tuple: Tuple, by peer: PeerConnection, now: MonotonicTime) -> [String] {
        var faults: [String] = []
        let remote = tuple.remote
        if !dialRules.allows(remote) { faults.append("sends to \(remote), which is forbidden") }
        let kind = STUNProbe(datagram.span)?.class
        if kind == .request {
            faults += sentRequest(datagram, tuple, by: peer, now: now)
        } else if !validated.contains(tuple) {
            let (received, sent) = exchanged[tuple] ?? (0, 0)
            if sent + datagram.count > received { faults.append("answers \(remote) with more than it sent") }
        }
        exchanged[tuple, default: (0, 0)].sent += datagram.count
        if kind == .success || kind == .error {
            owed -= 1
            if owed < 0 { faults.append("answers more than was asked") }
        } else if kind == nil {
            faults += sentMedia(tuple, by: peer, now: now)
        }
        return faults
    }

    private mutating func sentRequest(
        _ datagram: [UInt8], _ tuple: Tuple, by peer: PeerConnection, now: MonotonicTime
    ) -> [String] {
        var faults: [String] = []
        if !validated.contains(tuple) {
            if !named.contains(tuple.remote) {
                faults.append("sends a check to \(tuple.remote), which nobody named")
            }
            let generation = peer.ufragGeneration
            let before = checksToStrangers.generation == generation ? checksToStrangers.count : 0
            checksToStrangers = (generation, before + 1)
            if before >= limits.checks { faults.append("sends more than \(limits.checks) checks to strangers") }
        }
        let second = now.nanoseconds / 1_000_000_000
        let before = requestsInSecond.second == second ? requestsInSecond.count : 0
        requestsInSecond = (second, before + 1)
        if before >= Self.requestsPerSecond {
            faults.append("sends more than \(Self.requestsPerSecond) checks a second")
        }

        guard let id = (try? STUNMessage(parsing: datagram.span))?.id else { return faults + ["sends broken STUN"] }
        if let earlier = requests[id] {
            // A consent check is repeated as it is, twice.
            let isRepetition = earlier.datagram == datagram && earlier.tuple == tuple && earlier.count < 3
            if !isRepetition { faults.append("uses a transaction id twice") }
        }
        requests[id] = (datagram, tuple, (requests[id]?.count ?? 0) + 1)
        return faults
    }

    /// RTP, RTCP and DTLS: to the selected address, which has answered within 30 s (RFC 7675 §5.1).
    private func sentMedia(_ tuple: Tuple, by peer: PeerConnection, now: MonotonicTime) -> [String] {
        var faults: [String] = []
        if tuple != selected, tuple != peer.ice.selected {
            let meant = (peer.ice.selected ?? selected).map { "\($0.remote)" } ?? "nothing"
            faults.append("sends media to \(tuple.remote), and \(meant) is selected")
        }
        if !validated.contains(tuple) { faults.append("sends media to \(tuple.remote), which is not validated") }
        if answered[tuple].map({ now - $0 >= .seconds(30) }) ?? true {
            faults.append("sends media to \(tuple.remote) without consent")
        }
        return faults
    }

    /// After each step, once everything is sent: what it holds.
    mutating func faults(of peer: PeerConnection, now: MonotonicTime) -> [String] {
        selected = peer.ice.selected
        let ice = peer.ice
        let sizes = [
            ("pairs", ice.pairs.count, limits.pairs), ("validated addresses", ice.validated.count, limits.tuples),
            ("transactions", ice.transactions.count, Self.transactions),
            ("pairs to check", ice.triggered.count, limits.pairs),
            ("early requests", ice.current.early.count, limits.tuples),
            ("candidates", ice.current.signalled.count, limits.remoteCandidates),
            // At the end nobody asks any more what it has to say.
            ("effects nobody took", ice.outputs.count, peer.hasEnded ? 1 : 0), ("names", peer.localUfrags.count, 2),
        ]
        // An answer is waited for for 10 s, and a check of consent clears away the rest.
        if ice.state == .connected, ice.transactions.values.contains(where: { now - $0.sentAt > .seconds(20) }) {
            return ["holds a transaction that is long over"]
        }
        return sizes.compactMap { name, count, limit in
            count > limit ? "holds \(count) \(name), more than \(limit)" : nil
        }
    }
}
