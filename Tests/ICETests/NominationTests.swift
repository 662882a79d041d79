import ICE
import STUN
import Testing
import Wire

@Suite("Nomination and roles, RFC 8445 §7.3, §8")
struct NominationTests {
    private var peer = Peer()
    private let first = address("198.51.100.7", 50000)
    private let second = address("198.51.100.8", 50000)

    private func makeControlled() -> Agent {
        var agent = makeAgent(role: .controlled, tieBreaker: 50)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        return agent
    }

    /// Knows of two addresses, of which the first is the better.
    private func makeControlling() throws -> Agent {
        var agent = makeAgent(role: .controlling)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        for (address, priority) in [(first, 2000), (second, 1000)] {
            let text = "candidate:1 1 udp \(priority) \(address.host) \(address.port) typ host"
            _ = agent.addRemoteCandidate(try #require(Candidate(parsing: text)), now: .zero)
        }
        return agent
    }

    /// A request from `source`, and the answer to the check it triggers.
    private mutating func exchange(
        _ agent: inout Agent, _ source: SocketAddress, useCandidate: Bool, priority: UInt32 = 1_853_824_767,
        at time: Double
    ) {
        let request = peer.request(to: agent, useCandidate: useCandidate, priority: priority)
        #expect(agent.receive(request, from: source, at: seconds(time)) == .authenticated(displacing: nil))
        for packet in agent.sends(until: seconds(time + 0.06)) where classOf(packet.bytes) == .request {
            guard let response = peer.response(to: packet.bytes) else { continue }
            #expect(
                agent.receive(response, from: packet.to, at: seconds(time + 0.06)) == .authenticated(displacing: nil))
        }
    }

    @Test("of candidates that have all been tried the best is nominated at once: the pacing of checks is not for it")
    func isUnpaced() throws {
        var world = World()
        world.tellEverything()
        world.agents[1].endOfRemoteCandidates(now: world.now)
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
        let requests = try world.sent.filter { $0.agent == 1 }
            .map { ($0.at, try STUNMessage(parsing: $0.bytes.span)) }.filter { $0.1.class == .request }
        let first = try #require(requests.first)
        let nomination = try #require(requests.first { $0.1.useCandidate })
        #expect(!first.1.useCandidate)
        #expect(nomination.0 - first.0 == .milliseconds(10), "a round trip")
    }

    @Test("the best of all is nominated at once, though worse has not been tried; another waits a moment for better")
    mutating func isBest() throws {
        for (answering, bound) in [(first, 0.03), (second, 1.0)] {
            var agent = try makeControlling()
            agent.endOfRemoteCandidates(now: .zero)
            var now = 0.0
            while agent.selected == nil, now < 2 {
                for packet in agent.sends(until: seconds(now)) where packet.to == answering {
                    guard let response = peer.response(to: packet.bytes) else { continue }
                    _ = agent.receive(response, from: packet.to, at: seconds(now))
                }
                now += 0.01
            }
            #expect(agent.selected?.remote == answering)
            #expect(now <= bound && (answering == first || now > 0.05), "selected after \(now) s")
        }
    }

    @Test("a controlled agent selects nothing before USE-CANDIDATE")
    mutating func waits() {
        var agent = makeControlled()
        exchange(&agent, first, useCandidate: false, at: 0)
        #expect(agent.isValidated(path: 0, remote: first))
        #expect(agent.selected == nil)
        exchange(&agent, first, useCandidate: true, at: 1)
        #expect(agent.selected == Tuple(path: 0, remote: first))
    }

    @Test("the latest deliberate nomination wins, whatever its priority, as browsers renominate")
    mutating func renomination() {
        var agent = makeControlled()
        exchange(&agent, first, useCandidate: false, priority: 2000, at: 0)
        exchange(&agent, second, useCandidate: false, priority: 1000, at: 0.1)
        exchange(&agent, first, useCandidate: true, at: 0.2)
        #expect(agent.selected?.remote == first)
        exchange(&agent, second, useCandidate: true, at: 0.3)
        #expect(agent.selected?.remote == second)
        exchange(&agent, first, useCandidate: true, at: 0.4)
        #expect(agent.selected?.remote == first)
    }

    @Test("a peer that nominates with every check gets its best pair (RFC 5245 §8.1.1.2)", arguments: [true, false])
    mutating func aggressive(bestFirst: Bool) {
        var agent = makeControlled()
        let order = bestFirst ? [first, second] : [second, first]
        for (index, source) in order.enumerated() {
            let priority: UInt32 = source == first ? 2000 : 1000
            exchange(&agent, source, useCandidate: true, priority: priority, at: Double(index) / 5)
        }
        #expect(agent.selected?.remote == first)
    }

    @Test("a pair nominated long after it was last proven is checked before it is selected")
    mutating func stalePair() {
        var agent = makeControlled()
        exchange(&agent, first, useCandidate: false, at: 0)
        exchange(&agent, second, useCandidate: true, at: 0.2)
        for step in 1...12 { exchange(&agent, second, useCandidate: true, at: Double(step) * 5) }
        let request = peer.request(to: agent, useCandidate: true)
        _ = agent.receive(request, from: first, at: seconds(70))
        #expect(agent.selected?.remote == second)
        exchange(&agent, first, useCandidate: true, at: 70.1)
        #expect(agent.selected?.remote == first)
    }

    @Test("a valid pair is checked every 2 s until the peer has chosen, as either side may move meanwhile")
    mutating func refreshed() {
        var agent = makeControlled()
        exchange(&agent, first, useCandidate: false, at: 0)
        var times: [Double] = []
        for step in 0..<100 {
            let now = Double(step) / 10
            for packet in agent.sends(until: seconds(now)) where classOf(packet.bytes) == .request {
                times.append(now)
                guard let response = peer.response(to: packet.bytes) else { continue }
                _ = agent.receive(response, from: packet.to, at: seconds(now))
            }
        }
        #expect(times.count == 4, "\(times)")
        exchange(&agent, first, useCandidate: true, at: 10)
        #expect(agent.sends(until: seconds(13.9)).isEmpty)
    }

    @Test("a pair that is nominated and does not answer gives way to one that does")
    mutating func stuck() throws {
        var agent = try makeControlling()
        var nominations: [(at: Double, to: SocketAddress)] = []
        for step in 0..<400 where agent.selected == nil {
            let now = Double(step) / 100
            for packet in agent.sends(until: seconds(now)) {
                let request = try STUNMessage(parsing: packet.bytes.span)
                guard request.class == .request else { continue }
                if request.useCandidate { nominations.append((now, packet.to)) }
                // The better one is gone once it has answered.
                guard packet.to == second || !request.useCandidate, let response = peer.response(to: packet.bytes)
                else { continue }
                _ = agent.receive(response, from: packet.to, at: seconds(now))
            }
        }
        #expect(nominations.map(\.to) == [first, first, first, first, second])
        #expect(agent.selected?.remote == second)
        #expect((1.8...2.3).contains(try #require(nominations.last).at), "\(nominations)")
    }

    @Test("487 switches the role once; a stale one, to a check in the old role, does not switch it back")
    mutating func stale487() throws {
        var agent = makeAgent(role: .controlling)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        let candidate = try #require(Candidate(parsing: "candidate:1 1 udp 1 198.51.100.7 50000 typ host"))
        _ = agent.addRemoteCandidate(candidate, now: .zero)
        let checks = agent.sends(until: seconds(0.3))
        #expect(checks.count == 2)
        for check in checks {
            let conflict = try #require(peer.response(to: check.bytes, errorCode: 487))
            #expect(agent.receive(conflict, from: first, at: seconds(0.31)) == .authenticated(displacing: nil))
            #expect(agent.role == .controlled)
        }
        let again = try #require(agent.sends(until: seconds(0.4)).first).bytes
        let tieBreaker = try STUNMessage(parsing: again.span).iceControlled
        #expect(tieBreaker != nil && tieBreaker != 1, "another one (RFC 8445 §7.2.5.1)")
    }

    @Test(
        "a smaller tie-breaker in our role is answered with 487, a larger one switches us",
        arguments: [
            (49, true), (50, true), (51, false),
        ] as [(UInt64, Bool)])
    mutating func conflict(theirs: UInt64, weStay: Bool) throws {
        var agent = makeAgent(role: .controlling, tieBreaker: 50)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        peer.iceControlling = theirs
        _ = agent.receive(peer.request(to: agent), from: first, at: .zero)
        let answer = try #require(agent.transmissions().first).bytes
        let message = try STUNMessage(parsing: answer.span)
        #expect(message.errorCode == (weStay ? 487 : nil))
        #expect(message.hasIntegrity(key: Array(agent.localCredentials.password.utf8)))
        #expect(agent.role == (weStay ? .controlling : .controlled))
    }

    @Test("a response tells the peer its address")
    mutating func mappedAddress() throws {
        var agent = makeControlled()
        _ = agent.receive(peer.request(to: agent), from: second, at: .zero)
        let answer = try #require(agent.transmissions().first).bytes
        #expect(try STUNMessage(parsing: answer.span).xorMappedAddress == second)
    }
}

@Suite("Remote candidates")
struct RemoteCandidateTests {
    @Test(
        "what cannot be used is ignored with the reason",
        arguments: [
            ("candidate:1 1 udp 1 x.local 50000 typ host", .ignored(.hostName)),
            ("candidate:1 1 udp 1 turn.example.org 50000 typ relay", .ignored(.hostName)),
            ("candidate:1 1 tcp 1 198.51.100.7 9 typ host tcptype active", .ignored(.unsupportedTransport)),
            ("candidate:1 2 udp 1 198.51.100.7 50000 typ host", .ignored(.wrongComponent)),
            ("candidate:1 1 udp 1 198.51.100.7 50000 typ host ufrag old", .ignored(.otherGeneration)),
            ("candidate:1 1 udp 1 127.0.0.1 50000 typ host", .ignored(.forbiddenAddress)),
            ("candidate:1 1 udp 1 198.51.100.7 50000 typ host ufrag peer", .added),
            ("candidate:1 1 udp 1 198.51.100.1 50000 typ host", .duplicate),
        ] as [(String, Agent.AddOutcome)])
    func outcomes(text: String, outcome: Agent.AddOutcome) throws {
        var agent = makeAgent(role: .controlled)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.setRemoteCredentials(Peer().credentials, now: .zero)
        let known = try #require(Candidate(parsing: "candidate:9 1 udp 9 198.51.100.1 50000 typ srflx"))
        #expect(agent.addRemoteCandidate(known, now: .zero) == .added)
        #expect(agent.addRemoteCandidate(try #require(Candidate(parsing: text)), now: .zero) == outcome)
        #expect(agent.state == .checking)
    }

    @Test("after close nothing is taken, sent or waited for")
    func close() throws {
        var world = World()
        world.tellEverything()
        world.run(for: .seconds(1))
        world.agents[0].close()
        world.agents[0].close()
        let count = world.sent.count { $0.agent == 0 }
        world.run(for: .seconds(60))
        #expect(world.sent.count { $0.agent == 0 } == count)
        #expect(world.states[0] == [.checking, .connected, .closed])
        #expect(world.agents[0].deadline == nil)
        #expect(world.agents[0].selected == nil)
        #expect(world.agents[0].counters[.closed] > 0)
        let candidate = try #require(Candidate(parsing: "candidate:9 1 udp 9 198.51.100.1 50000 typ srflx"))
        #expect(world.agents[0].addRemoteCandidate(candidate, now: world.now) == .ignored(.closed))
    }

    @Test("a local candidate added while checks run is paired too")
    func lateLocal() {
        var world = World()
        world.tellEverything()
        world.passes = { $0.to.family == .ipv6 }
        world.run(for: .seconds(1))
        for index in 0...1 {
            world.sockets[index].append(address("2001:db8::\(index + 1)", 40000))
            world.agents[index].addLocalCandidate(address: world.sockets[index][1], path: 1)
        }
        for index in 0...1 {
            _ = world.agents[index].addRemoteCandidate(world.agents[1 - index].localCandidates[1], now: world.now)
        }
        #expect(world.run(for: .seconds(2)) { $0.areConnected })
        #expect(world.agents[0].selected == Tuple(path: 1, remote: address("2001:db8::2", 40000)))
    }
}
