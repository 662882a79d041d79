import ICE
import STUN
import Synchronization
import TestSupport
import Testing
import Wire

/// Two agents on a seeded network in virtual time.
struct World {
    struct Datagram {
        var at: MonotonicTime
        var order: Int
        var from: SocketAddress
        var to: SocketAddress
        var bytes: [UInt8]
    }

    struct Sent {
        var at: MonotonicTime
        var agent: Int
        var path: Int
        var to: SocketAddress
        var bytes: [UInt8]
    }

    var now = MonotonicTime.zero
    var agents: [Agent]
    var sockets: [[SocketAddress]]
    /// Share of datagrams that are lost, 0 … 1.
    var loss = 0.0
    /// Milliseconds a datagram travels; a wide range reorders.
    var delay: ClosedRange<Int64> = 5...5
    /// Whether a datagram is let through; the link is cut where it says no.
    var passes: (Sent) -> Bool = { _ in true }
    var sent: [Sent] = []
    var states: [[Agent.State]] = [[], []]
    var selections: [[Tuple]] = [[], []]
    private var inFlight: [Datagram] = []
    private var generator: Seeded

    /// - Parameter lite: the number of an agent that is.
    init(
        seed: UInt64 = 1, roles: [Agent.Role] = [.controlled, .controlling], tieBreakers: [UInt64] = [1, 2],
        lite: Int? = nil
    ) {
        generator = Seeded(seed)
        let sockets = [[address("192.0.2.1", 40000)], [address("198.51.100.2", 50000)]]
        agents = [0, 1].map { index in
            var agent = makeAgent(
                role: roles[index], index, tieBreaker: tieBreakers[index], seed: seed &* 31 &+ UInt64(index),
                isLite: index == lite)
            agent.addLocalCandidate(address: sockets[index][0], path: 0)
            return agent
        }
        self.sockets = sockets
    }

    /// Tells agent `index` the other's credentials.
    mutating func tellCredentials(to index: Int) {
        agents[index].setRemoteCredentials(agents[1 - index].localCredentials, now: now)
    }

    /// Tells agent `index` the other's candidates.
    mutating func tellCandidates(to index: Int) {
        for candidate in agents[1 - index].localCandidates {
            #expect(agents[index].addRemoteCandidate(candidate, now: now) == .added)
        }
    }

    mutating func tellEverything() {
        for index in 0...1 {
            tellCredentials(to: index)
            tellCandidates(to: index)
        }
    }

    var areConnected: Bool { agents.allSatisfy { $0.state == .connected } }

    /// Runs for `duration`, or until `done` holds. Returns whether it came to hold.
    @discardableResult
    mutating func run(for duration: Duration, until done: (World) -> Bool = { _ in false }) -> Bool {
        let end = now + duration
        var steps = 0
        while true {
            for index in agents.indices { drain(index) }
            if done(self) { return true }
            steps += 1
            guard steps < 1_000_000 else {
                Issue.record("the agents do not let time pass")
                return false
            }
            let next = (agents.compactMap(\.deadline) + inFlight.map(\.at)).min()
            guard let next, next <= end else {
                now = end
                return false
            }
            now = max(now, next)
            inFlight.sort { ($0.at, $0.order) < ($1.at, $1.order) }
            while let datagram = inFlight.first, datagram.at <= now {
                inFlight.removeFirst()
                deliver(datagram)
            }
            for index in agents.indices where agents[index].deadline.map({ $0 <= now }) ?? false {
                agents[index].handleTimeout(now: now)
            }
        }
    }

    private mutating func deliver(_ datagram: Datagram) {
        for index in agents.indices {
            guard let path = sockets[index].firstIndex(of: datagram.to) else { continue }
            _ = agents[index].receive(datagram.bytes.span, path: path, from: datagram.from, now: now)
        }
    }

    private mutating func drain(_ index: Int) {
        while let output = agents[index].poll() {
            switch output {
            case .state(let state): states[index].append(state)
            case .selected(let tuple): selections[index].append(tuple)
            case .transmit(let bytes, let path, let to):
                let packet = Sent(at: now, agent: index, path: path, to: to, bytes: bytes)
                sent.append(packet)
                guard passes(packet), Double.random(in: 0..<1, using: &generator) >= loss else { continue }
                let at = now + .milliseconds(Int64.random(in: delay, using: &generator))
                inFlight.append(
                    Datagram(at: at, order: sent.count, from: sockets[index][path], to: to, bytes: bytes))
            }
        }
    }
}

func address(_ host: String, _ port: UInt16) -> SocketAddress {
    SocketAddress(host, port: port) ?? SocketAddress(ipv4: 0, port: 0)
}

func makeAgent(
    role: Agent.Role, _ index: Int = 0, tieBreaker: UInt64 = 1, seed: UInt64 = 7, mayDial: DialRules = DialRules(),
    limits: Agent.Limits = Agent.Limits(), isLite: Bool = false
) -> Agent {
    var random = RandomSource.seeded(seed)
    var configuration = Agent.Configuration(
        role: role, credentials: .random(&random), tieBreaker: tieBreaker, transactionTag: 0xa0a0_0000 + UInt32(index),
        randomness: random, mayDial: mayDial)
    configuration.limits = limits
    configuration.isLite = isLite
    return Agent(configuration, now: .zero)
}
