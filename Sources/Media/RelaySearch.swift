import ICE
import TURN
import WebRTC
import Wire

/// Looks for a relayed address of each IP version, and for another when one is lost.
///
/// An allocation belongs to the loop, not to a call: all its calls share it, and it is there before they begin. Servers are
/// tried in their order, each getting a head start on the next; the first that answers is the one.
final class RelaySearch {
    /// Of each server on the next.
    private static let headStart: Duration = .milliseconds(500)
    /// After none of them would, doubled each time up to the longest.
    private static let rest: Duration = .seconds(2)
    private static let longestRest: Duration = .seconds(30)
    /// How often a server may send us on to another (RFC 8489 §10), or say that it still has an allocation (437).
    private static let detours = 2

    /// What a search has come to for one IP version.
    private struct Goal {
        let family: SocketAddress.Family
        var attempts: [RelayPort] = []
        /// The server that is tried next, and when.
        var next = 0
        var nextAt: MonotonicTime?
        var detours = 0
        var failures: [String] = []
        /// What was last told of that, and how often in a row it has come to nothing.
        var told: [String] = []
        var rounds = 0
        var current: RelayPort?
        /// Whether some server has not had its chance since there last was an address.
        var isOpen: Bool { current == nil && rounds == 0 }
    }

    private let local: [SocketAddress]
    private let tag: UInt32
    private let poller: Poller
    private let dialRules: DialRules
    private var servers: [RelayServer] = []
    private var goals: [Goal] = [.ipv4, .ipv6].map { Goal(family: $0) }
    /// Of former credentials: they stay while calls go by them.
    private var former: [RelayPort] = []
    private var ports: [Int32: RelayPort] = [:]
    private var nextPath = LoopPath.relays
    private var outputs: [Output] = []

    enum Output {
        case available(RelayPort)
        case lost(RelayPort)
        /// It was of former credentials, and no call goes by it.
        case retired(RelayPort)
        /// One IP version has found an address, or every server has had its chance.
        case settled
        case unavailable([String])
    }

    /// - Parameters:
    ///   - local: our addresses; the first that fits a server is where it is asked from.
    ///   - dialRules: for what servers name.
    init(local: [SocketAddress], tag: UInt32, poller: Poller, dialRules: DialRules) {
        self.local = local
        self.tag = tag
        self.poller = poller
        self.dialRules = dialRules
    }

    func poll() -> Output? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    var isInUse: Bool { !servers.isEmpty }

    /// Whether `ask` is yet to come, for the first time: names are being looked up.
    var isExpected = false

    var isGathering: Bool { isExpected || !servers.isEmpty && goals.contains(where: \.isOpen) }

    /// What new calls are told.
    var candidates: [PeerConnection.LocalCandidate] { goals.compactMap { $0.current?.candidate } }

    /// Nothing else has to ask for the time.
    private(set) var deadline: MonotonicTime?

    /// Lets a host in at each of those, unless nobody may talk to it.
    func expect(_ host: SocketAddress, now: MonotonicTime) {
        guard dialRules.allows(host.with(port: dialRules.lowestPort)) else { return }
        for goal in goals { goal.current?.expect(host, now: now) }
        updateDeadline(now: now)
    }

    func port(path: Int) -> RelayPort? {
        for port in ports.values where port.path == path { return port }
        return nil
    }

    func port(descriptor: Int32) -> RelayPort? { ports[descriptor] }

    /// Asks these servers from now on, or none. What there is goes on being used until they have answered.
    func ask(_ servers: [RelayServer], now: MonotonicTime) {
        self.servers = servers
        isExpected = false
        if servers.isEmpty { outputs.append(.settled) }
        for index in goals.indices {
            for attempt in goals[index].attempts { drop(attempt) }
            goals[index].attempts = []
            begin(&goals[index], at: now)
        }
        handleTimeout(now: now)
    }

    func close() {
        for port in ports.values { port.close() }
        ports = [:]
    }

    /// To be called after something went through a port.
    func notice(_ port: RelayPort, now: MonotonicTime) {
        let isNews = port.failure != nil || goals.contains { $0.attempts.contains { $0 === port } }
        if isNews { handleTimeout(now: now) } else { updateDeadline(now: now) }
    }

    /// To be called at `deadline`.
    func handleTimeout(now: MonotonicTime) {
        for port in ports.values {
            if let due = port.deadline, due <= now { port.handleTimeout(now: now) }
        }
        for index in goals.indices { look(after: &goals[index], now: now) }
        former.removeAll { port in
            guard port.failure == nil else {
                drop(port)
                outputs.append(.lost(port))
                return true
            }
            guard port.isIdle(now) else { return false }
            drop(port)
            outputs.append(.retired(port))
            return true
        }
        updateDeadline(now: now)
    }

    // MARK: - One goal

    private func begin(_ goal: inout Goal, at time: MonotonicTime) {
        (goal.next, goal.nextAt, goal.detours, goal.failures) = (0, time, 0, [])
    }

    private func look(after goal: inout Goal, now: MonotonicTime) {
        if let current = goal.current, current.failure != nil {
            goal.current = nil
            drop(current)
            outputs.append(.lost(current))
            if goal.attempts.isEmpty { begin(&goal, at: now) }
        }
        for attempt in goal.attempts where attempt.failure != nil { giveUp(attempt, &goal, now: now) }
        if let found = goal.attempts.first(where: { $0.candidate != nil }) {
            return take(found, &goal, now: now)
        }
        while let at = goal.nextAt, at <= now { tryNext(&goal, now: now) }
    }

    private func tryNext(_ goal: inout Goal, now: MonotonicTime) {
        guard goal.next < servers.count else {
            goal.nextAt = nil
            return
        }
        let server = servers[goal.next]
        goal.next += 1
        goal.nextAt = goal.next < servers.count ? now + Self.headStart : nil
        open(server, &goal, now: now)
    }

    private func open(_ server: RelayServer, _ goal: inout Goal, now: MonotonicTime) {
        do throws(MediaError) {
            let fits = local.first { $0.family == server.address.family && $0.isLoopback == server.address.isLoopback }
            guard let local = fits ?? local.first(where: { $0.family == server.address.family }) else {
                throw .noLocalAddress(server.address)
            }
            let port = try RelayPort(
                server, family: goal.family, from: local, path: nextPath, tag: tag, poller: poller, now: now)
            nextPath += 1
            ports[port.descriptor] = port
            goal.attempts.append(port)
        } catch {
            goal.failures.append("\(server.name): \(error)")
            restIfAllFailed(&goal, now: now)
        }
    }

    private func giveUp(_ attempt: RelayPort, _ goal: inout Goal, now: MonotonicTime) {
        goal.attempts.removeAll { $0 === attempt }
        drop(attempt)
        if goal.detours < Self.detours {
            var server = attempt.server
            switch attempt.end {
            case .tryAlternate(let address)? where mayAsk(address, insteadOf: server):
                goal.detours += 1
                server.address = address
                return open(server, &goal, now: now)
            case .mismatch?:
                goal.detours += 1
                return open(server, &goal, now: now)
            default: break
            }
        }
        goal.failures.append("\(attempt.server.name): \(attempt.failure ?? "")")
        restIfAllFailed(&goal, now: now)
    }

    /// A server names another: it must not make us talk to whom nobody may.
    private func mayAsk(_ address: SocketAddress, insteadOf server: RelayServer) -> Bool {
        let anyPort = DialRules(
            allowsLoopback: dialRules.allowsLoopback, forbidden: dialRules.forbidden, lowestPort: 1)
        return address.family == server.address.family && anyPort.allows(address)
    }

    private func restIfAllFailed(_ goal: inout Goal, now: MonotonicTime) {
        guard goal.attempts.isEmpty else { return }
        if goal.next < servers.count { return goal.nextAt = now }
        let failures = goal.failures
        begin(&goal, at: now + min(Self.rest * (1 << min(goal.rounds, 8)), Self.longestRest))
        goal.rounds += 1
        if goal.rounds == 1 { outputs.append(.settled) }
        // A server without IPv6 is the rule.
        guard goal.current == nil, goal.family == .ipv4, failures != goal.told else { return }
        goal.told = failures
        outputs.append(.unavailable(failures))
    }

    private func take(_ found: RelayPort, _ goal: inout Goal, now: MonotonicTime) {
        guard let candidate = found.candidate, dialRules.allows(candidate.address) else {
            goal.attempts.removeAll { $0 === found }
            drop(found)
            goal.failures.append("\(found.server.name): it gives an address that cannot be reached")
            return restIfAllFailed(&goal, now: now)
        }
        for other in goal.attempts where other !== found { drop(other) }
        goal.attempts = []
        goal.nextAt = nil
        (goal.told, goal.rounds) = ([], 0)
        if let current = goal.current { former.append(current) }
        goal.current = found
        outputs.append(.available(found))
        outputs.append(.settled)
    }

    private func drop(_ port: RelayPort) {
        ports[port.descriptor] = nil
        port.close()
    }

    private func updateDeadline(now: MonotonicTime) {
        var earliest: MonotonicTime? = former.isEmpty ? nil : now + .seconds(30)
        for port in ports.values {
            if let due = port.deadline { earliest = min(earliest ?? due, due) }
        }
        for goal in goals {
            if let due = goal.nextAt { earliest = min(earliest ?? due, due) }
        }
        deadline = earliest
    }
}
