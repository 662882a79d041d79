import ICE
import STUN
import Testing
import Wire

@Suite("A lite agent, RFC 8445 §2.5")
struct LiteTests {
    /// The requests of the lite agent, which is the first.
    private func requests(_ world: World) -> [World.Sent] {
        world.sent.filter { sent in
            sent.agent == 0 && (try? STUNMessage(parsing: sent.bytes.span).class) == .request
        }
    }

    @Test(
        "is found by a full one whatever roles they begin in, and sends one check, to what was nominated",
        arguments: [
            [.controlled, .controlling], [.controlled, .controlled], [.controlling, .controlling],
            [.controlling, .controlled],
        ] as [[Agent.Role]], [[1, 2], [2, 1]] as [[UInt64]])
    func connects(roles: [Agent.Role], tieBreakers: [UInt64]) {
        var world = World(roles: roles, tieBreakers: tieBreakers, lite: 0)
        world.tellEverything()
        #expect(world.run(for: .seconds(2)) { $0.areConnected })
        #expect(requests(world).map(\.to) == [world.sockets[1][0]])
        #expect(world.agents.map(\.role) == [.controlled, .controlling])
        #expect(world.selections[0].last?.remote == world.sockets[1][0])
    }

    @Test("so is one by an agent that is told, which is controlling at once")
    func told() {
        var world = World(roles: [.controlled, .controlled], lite: 0)
        world.agents[1].setRemoteCredentials(world.agents[0].localCredentials, isLite: true, now: world.now)
        #expect(world.agents[1].role == .controlling)
        world.tellCandidates(to: 1)
        world.tellCredentials(to: 0)
        #expect(world.run(for: .seconds(2)) { $0.areConnected })
    }

    @Test("at 30 % loss it is found too", arguments: 0..<50 as Range<UInt64>)
    func loss(seed: UInt64) {
        var world = World(seed: seed, lite: 0)
        world.loss = 0.3
        world.tellEverything()
        #expect(world.run(for: .seconds(30)) { $0.areConnected })
    }

    @Test("asks for consent as others do, of the selected address only, and ends without it", arguments: [true, false])
    func consent(peerStillAsks: Bool) {
        var world = World(lite: 0)
        world.tellEverything()
        #expect(world.run(for: .seconds(2)) { $0.areConnected })
        world.run(for: .seconds(120))
        #expect(world.areConnected)
        let asked = requests(world)
        #expect((20...30).contains(asked.count))
        #expect(asked.allSatisfy { $0.to == world.sockets[1][0] })
        world.passes = { sent in
            let isRequest = (try? STUNMessage(parsing: sent.bytes.span).class) == .request
            return sent.agent == 0 || peerStillAsks && isRequest
        }
        #expect(world.run(for: .seconds(31)) { $0.agents[0].state == .failed })
    }

    @Test("a restart moves to the new credentials, without checks either")
    func restart() {
        var world = World(lite: 0)
        world.tellEverything()
        #expect(world.run(for: .seconds(2)) { $0.areConnected })
        let before = world.selections[0].count
        for index in [0, 1] {
            let credentials = Credentials(ufrag: "again\(index)", password: String(repeating: "p\(index)", count: 12))
            world.agents[index].restart(credentials: credentials, now: world.now)
        }
        world.tellEverything()
        #expect(world.run(for: .seconds(2)) { $0.selections[0].count > before })
        #expect(requests(world).count == 2, "one for each nomination")
    }

    @Test("stays controlled when a check of consent is answered with 487, and sends none for it")
    func conflict() throws {
        var agent = makeAgent(role: .controlled, isLite: true)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        var peer = Peer()
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        _ = agent.receive(peer.request(to: agent, useCandidate: true), from: peer.source, at: .zero)
        for at in [0.0, 6] {
            let check = try #require(agent.sends(until: seconds(at)).last { classOf($0.bytes) == .request })
            let answer = try #require(peer.response(to: check.bytes, errorCode: at == 0 ? nil : 487))
            #expect(agent.receive(answer, from: peer.source, at: seconds(at)) == .authenticated(displacing: nil))
        }
        #expect(agent.selected?.remote == peer.source)
        #expect(agent.role == .controlled)
        #expect(agent.sends(until: seconds(6.4)).isEmpty)
        let next = try #require(agent.sends(until: seconds(13)).first).bytes
        #expect(try STUNMessage(parsing: next.span).iceControlled != nil)
    }

    @Test("sends nothing to an address that is nominated and does not answer but checks")
    func pretended() throws {
        var world = World(lite: 0)
        world.tellEverything()
        // Its answers do not arrive, as those of an address that a caller has only made up.
        world.passes = { sent in
            let isRequest = (try? STUNMessage(parsing: sent.bytes.span).class) == .request
            return sent.agent == 0 || isRequest
        }
        world.run(for: .seconds(39))
        #expect(world.agents[0].selected == nil)
        #expect(world.selections[0].isEmpty)
        let received = world.sent.filter { $0.agent == 1 }.reduce(0) { $0 + $1.bytes.count }
        #expect(requests(world).reduce(0) { $0 + $1.bytes.count } <= received)
    }
}
