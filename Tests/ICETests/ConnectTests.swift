import ICE
import STUN
import Testing
import Wire

@Suite("Two agents meet, RFC 8445")
struct ConnectTests {
    @Test("they select the same pair within half a second")
    func connect() {
        var world = World()
        world.tellEverything()
        #expect(world.run(for: .milliseconds(500)) { $0.areConnected })
        #expect(world.agents[0].selected == Tuple(path: 0, remote: world.sockets[1][0]))
        #expect(world.agents[1].selected == Tuple(path: 0, remote: world.sockets[0][0]))
        #expect(world.agents[0].roundTripTime == .milliseconds(10))
        #expect(world.states == [[.checking, .connected], [.checking, .connected]])
        #expect(world.agents[0].isValidated(path: 0, remote: world.sockets[1][0]))
        #expect(!world.agents[0].isValidated(path: 1, remote: world.sockets[1][0]))
        #expect(!world.agents[0].isValidated(path: 0, remote: address("198.51.100.2", 50001)))
    }

    @Test("with 30 % loss and reordering they still do", arguments: 1...200 as ClosedRange<UInt64>)
    func lossy(seed: UInt64) {
        var world = World(seed: seed)
        world.loss = 0.3
        world.delay = 5...200
        world.tellEverything()
        #expect(world.run(for: .seconds(39)) { $0.areConnected }, "seed \(seed)")
        world.run(for: .seconds(5))
        #expect(world.agents[0].selected == Tuple(path: 0, remote: world.sockets[1][0]), "seed \(seed)")
    }

    @Test("one side that never hears a candidate learns a peer-reflexive one", arguments: [0, 1])
    func oneSided(told: Int) {
        var world = World()
        for index in 0...1 { world.tellCredentials(to: index) }
        world.tellCandidates(to: told)
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
    }

    @Test("a candidate signalled after its peer-reflexive pair was selected keeps the pair")
    func reflexiveThenSignalled() {
        var world = World()
        for index in 0...1 { world.tellCredentials(to: index) }
        world.tellCandidates(to: 1)
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
        world.sent = []
        world.tellCandidates(to: 0)
        world.run(for: .seconds(1))
        #expect(world.sent.isEmpty)  // nothing is to be proven again
        world.run(for: .seconds(120))
        #expect(world.selections[0].count == 1)
        #expect(world.states[0] == [.checking, .connected])
    }

    @Test("requests before the remote credentials are answered, and checks start once they arrive", arguments: [0, 1])
    func lateCredentials(late: Int) {
        var world = World()
        world.tellCredentials(to: 1 - late)
        world.tellCandidates(to: 1 - late)
        world.run(for: .seconds(2))
        #expect(world.agents[late].state == .new)
        #expect(world.agents[late].isValidated(path: 0, remote: world.sockets[1 - late][0]))
        #expect(world.sent.contains { $0.agent == late && classOf($0.bytes) == .success })
        #expect(!world.sent.contains { $0.agent == late && classOf($0.bytes) == .request })
        world.tellCredentials(to: late)
        #expect(world.run(for: .milliseconds(500)) { $0.areConnected })
    }

    @Test("early requests of another generation are forgotten when the credentials arrive")
    func earlyOtherGeneration() {
        var agent = makeAgent(role: .controlled)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        var peer = Peer()
        _ = agent.receive(peer.request(to: agent), from: peer.source, at: .zero)
        agent.setRemoteCredentials(Credentials(ufrag: "other", password: "0123456789abcdefghijkl"), now: .zero)
        #expect(!agent.sends(until: seconds(10)).contains { classOf($0.bytes) == .request })
    }

    @Test(
        "a role conflict is settled by the tie-breakers",
        arguments: [
            (Agent.Role.controlling, [1, 2]), (.controlling, [2, 1]), (.controlled, [1, 2]), (.controlled, [2, 1]),
        ] as [(Agent.Role, [UInt64])])
    func roleConflict(role: Agent.Role, tieBreakers: [UInt64]) {
        for seed in 1...20 as ClosedRange<UInt64> {
            var world = World(seed: seed, roles: [role, role], tieBreakers: tieBreakers)
            world.delay = 5...50
            world.tellEverything()
            #expect(world.run(for: .seconds(5)) { $0.areConnected }, "seed \(seed)")
            let winner = tieBreakers[0] > tieBreakers[1] ? 0 : 1
            #expect(world.agents[winner].role == .controlling, "seed \(seed)")
            #expect(world.agents[1 - winner].role == .controlled, "seed \(seed)")
        }
    }

    @Test(
        "with equal tie-breakers too, in step with each other: who gets a 487 takes another (RFC 8445 §7.2.5.1)",
        arguments: [Agent.Role.controlling, .controlled])
    func equalTieBreakers(role: Agent.Role) {
        for seed in 1...20 as ClosedRange<UInt64> {
            var world = World(seed: seed, roles: [role, role], tieBreakers: [7, 7])
            world.tellEverything()
            #expect(world.run(for: .seconds(5)) { $0.areConnected }, "seed \(seed)")
            #expect(Set(world.agents.map(\.role)).count == 2, "seed \(seed)")
        }
    }

    @Test("the best of several pairs is selected when all are told at once")
    func bestPair() {
        var world = World()
        for (index, host) in ["203.0.113.1", "2001:db8::1"].enumerated() {
            world.sockets[0].append(address(host, 40001))
            world.agents[0].addLocalCandidate(address: address(host, 40001), path: index + 1)
            let other = host.contains(":") ? "2001:db8::2" : "203.0.113.2"
            world.sockets[1].append(address(other, 50001))
            world.agents[1].addLocalCandidate(address: address(other, 50001), path: index + 1)
        }
        world.tellEverything()
        #expect(world.run(for: .seconds(2)) { $0.areConnected })
        world.run(for: .seconds(2))
        #expect(world.agents[0].selected == Tuple(path: 0, remote: world.sockets[1][0]))
        #expect(world.agents[1].selected == Tuple(path: 0, remote: world.sockets[0][0]))
    }

    @Test("without a working pair an agent fails after 39.5 s, not before (RFC 8863)")
    func patience() {
        var world = World()
        world.passes = { _ in false }
        world.tellEverything()
        for index in 0...1 { world.agents[index].endOfRemoteCandidates(now: world.now) }
        world.run(for: .milliseconds(39_499))
        #expect(world.agents.map(\.state) == [.checking, .checking])
        world.run(for: .milliseconds(1))
        #expect(world.agents.map(\.state) == [.failed, .failed])
        #expect(world.agents.allSatisfy { $0.deadline == nil })
    }

    @Test("every transaction id is new, and begins with the tag")
    func transactionIDs() {
        var world = World(seed: 3)
        world.loss = 0.3
        world.tellEverything()
        world.run(for: .seconds(120))
        var seen: Set<TransactionID> = []
        for packet in world.sent where classOf(packet.bytes) == .request {
            guard let id = (try? STUNMessage(parsing: packet.bytes.span))?.id else { continue }
            // a repetition
            guard world.sent.first(where: { $0.bytes == packet.bytes })?.at == packet.at else { continue }
            #expect(id.tag == 0xa0a0_0000 + UInt32(packet.agent))
            #expect(seen.insert(id).inserted)
        }
        #expect(seen.count > 40)
    }
}
