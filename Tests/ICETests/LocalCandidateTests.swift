import ICE
import STUN
import TestSupport
import Testing
import Wire

@Suite("Candidates of ours that come and go")
struct LocalCandidateTests {
    private let relayed = address("203.0.113.9", 49_152)

    @Test("a TCP candidate is passive, comes behind every UDP one of its kind, and nothing is sent for it (RFC 6544)")
    func tcp() throws {
        var world = World()
        world.agents[0].addLocalCandidate(address: address("192.0.2.1", 40_443), path: 64, transport: .tcp)
        let candidate = world.agents[0].localCandidates[1]
        let text = candidate.description
        #expect(text.hasSuffix(" 1 tcp \(candidate.priority) 192.0.2.1 40443 typ host tcptype passive"))
        #expect(candidate.priority < world.agents[0].localCandidates[0].priority)
        #expect(candidate.priority > Candidate.Kind.relay.preference << 24 | 0xffffff)
        #expect(candidate.foundation != world.agents[0].localCandidates[0].foundation)
        world.tellCredentials(to: 0)
        world.tellCredentials(to: 1)
        #expect(world.agents[0].addRemoteCandidate(world.agents[1].localCandidates[0], now: world.now) == .added)
        world.run(for: .seconds(3))
        while let output = world.agents[0].poll() {
            if case .transmit(_, let path, _) = output { #expect(path == 0) }
        }
        #expect(world.areConnected)
    }

    @Test("who connects by TCP is answered there, and is a peer-reflexive candidate")
    func connection() throws {
        var agent = makeAgent(role: .controlled)
        agent.addLocalCandidate(address: address("192.0.2.1", 40_443), path: 64, transport: .tcp)
        var random = RandomSource.seeded(5)
        let remote = Credentials.random(&random)
        agent.setRemoteCredentials(remote, now: .zero)
        let source = address("198.51.100.2", 51_000)
        var request = STUNBuilder(.request, id: TransactionID(tag: 1, rest: 2))
        request.add(username: agent.localCredentials.ufrag + ":" + remote.ufrag)
        request.add(priority: 1)
        request.add(iceControlling: 9)
        let bytes = request.finish(key: Array(agent.localCredentials.password.utf8))
        #expect(agent.receive(bytes.span, path: 64, from: source, now: .zero) == .authenticated(displacing: nil))
        var sent: [STUNMessage.Class] = []
        while let output = agent.poll() {
            guard case .transmit(let bytes, let path, let to) = output else { continue }
            #expect(path == 64 && to == source)
            sent.append(try STUNMessage(parsing: bytes.span).class)
        }
        #expect(sent == [.success, .request])
        #expect(agent.isValidated(path: 64, remote: source))
        #expect(!agent.isValidated(path: 0, remote: source))
    }

    /// Two agents of which the first is reached by a relay only, and then as `meanwhile` has it.
    private func relayedWorld() -> World {
        var world = World()
        world.sockets[0] = [world.sockets[0][0], relayed, address("203.0.113.10", 49_153)]
        world.agents[0].addLocalCandidate(
            address: relayed, path: 1, kind: .relay, relatedAddress: address("192.0.2.1", 41_000))
        let direct = world.sockets[0][0]
        world.passes = { packet in packet.to != direct && packet.path != 0 || packet.agent == 1 && packet.to != direct }
        world.tellEverything()
        world.run(for: .seconds(10)) { $0.areConnected }
        return world
    }

    @Test("a call goes by a relay where nothing else gets through")
    func relay() {
        let world = relayedWorld()
        #expect(world.areConnected)
        #expect(world.agents[0].selected?.path == 1)
        #expect(world.agents[1].selected?.remote == relayed)
    }

    @Test("one whose relay is lost goes on by the next, as soon as the peer knows it", arguments: [0, 1])
    func replaced(controlling: Int) {
        var world = relayedWorld()
        if controlling == 0 { world = relayedWorld() }
        world.agents[0].removeLocalCandidates(path: 1, now: world.now)
        #expect(world.agents[0].selected == nil)
        #expect(world.agents[0].state == .disconnected)
        #expect(world.agents[0].localCandidates.count == 1)
        world.run(for: .seconds(2))
        world.agents[0].addLocalCandidate(address: world.sockets[0][2], path: 2, kind: .relay)
        #expect(world.agents[1].addRemoteCandidate(world.agents[0].localCandidates[1], now: world.now) == .added)
        world.run(for: .seconds(12)) { $0.agents[0].selected?.path == 2 }
        #expect(world.agents[0].selected?.path == 2)
        #expect(world.agents[0].state == .connected)
    }

    @Test("and ends when there is no other for 30 s; a path that is not in use is missed by nobody")
    func lost() {
        var world = relayedWorld()
        var other = world
        world.agents[0].removeLocalCandidates(path: 1, now: world.now)
        world.run(for: .milliseconds(29_900))
        #expect(world.agents[0].state == .disconnected)
        world.run(for: .milliseconds(200))
        #expect(world.agents[0].state == .failed)
        other.agents[0].removeLocalCandidates(path: 0, now: other.now)
        other.agents[0].removeLocalCandidates(path: 77, now: other.now)
        other.run(for: .seconds(60))
        #expect(other.areConnected)
    }
}
