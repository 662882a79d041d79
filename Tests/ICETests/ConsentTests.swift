import ICE
import STUN
import Testing
import Wire

@Suite("Consent freshness, RFC 7675 §5.1")
struct ConsentTests {
    private func connected(seed: UInt64 = 1) -> World {
        var world = World(seed: seed)
        world.tellEverything()
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
        return world
    }

    @Test("a silent peer is noticed in 6.5 s, and media stops after 30 s")
    func loss() throws {
        var world = connected()
        world.run(for: .seconds(10))
        world.passes = { _ in false }
        let cut = world.now
        #expect(world.run(for: .seconds(60)) { $0.agents[0].state == .disconnected })
        #expect((.seconds(0.5) ... .seconds(6.6)).contains(world.now - cut))
        #expect(world.agents[0].selected != nil)
        #expect(world.run(for: .seconds(60)) { $0.agents[0].state == .failed })
        #expect((.seconds(23.9) ... .seconds(30.1)).contains(world.now - cut))
        #expect(world.agents[0].selected == nil)
        #expect(!world.agents[0].isValidated(path: 0, remote: world.sockets[1][0]))
        world.run(for: .seconds(10))
        let count = world.sent.count
        world.run(for: .seconds(600))
        #expect(world.sent.count == count)
        #expect(world.states[0] == [.checking, .connected, .disconnected, .failed])
    }

    @Test("the controlling side nominates again with each check, as a NAT may have moved it (RFC 8445 §8.1.1)")
    func nominatesAgain() throws {
        var world = connected()
        world.run(for: .seconds(1))
        world.sent = []
        world.run(for: .seconds(60))
        for agent in 0...1 {
            let checks = try world.sent.filter { $0.agent == agent }.map { try STUNMessage(parsing: $0.bytes.span) }
                .filter { $0.class == .request }
            #expect(checks.count >= 9)
            #expect(checks.allSatisfy { $0.useCandidate == (agent == 1) })
        }
    }

    @Test("incoming requests alone do not renew consent")
    func oneWay() {
        var world = connected()
        world.passes = { !($0.agent == 1 && classOf($0.bytes) == .success) }
        #expect(world.run(for: .seconds(31)) { $0.agents[0].state == .failed })
    }

    @Test("a peer that comes back in time is connected again")
    func recovery() {
        var world = connected()
        world.passes = { _ in false }
        #expect(world.run(for: .seconds(20)) { $0.agents[0].state == .disconnected })
        world.run(for: .seconds(10))
        world.passes = { _ in true }
        #expect(world.run(for: .seconds(10)) { $0.areConnected })
        world.run(for: .seconds(300))
        #expect(world.areConnected)
    }

    @Test("a call of an hour stays up, with a check every 4 … 6 s", arguments: [1, 2, 3] as [UInt64])
    func hour(seed: UInt64) {
        var world = connected(seed: seed)
        world.run(for: .seconds(2))
        world.sent = []
        world.run(for: .seconds(3600))
        #expect(world.states[0] == [.checking, .connected])
        let checks = world.sent.filter { $0.agent == 0 && classOf($0.bytes) == .request }
        for (earlier, later) in zip(checks, checks.dropFirst()) {
            #expect((.seconds(4) ... .seconds(6)).contains(later.at - earlier.at))
        }
        #expect((600...900).contains(checks.count))
        #expect(world.sent.count <= 4 * 900)
    }

    @Test("an unanswered check is repeated twice, under its own transaction id")
    func repeats() {
        var world = connected()
        world.run(for: .seconds(1))
        world.sent = []
        world.passes = { classOf($0.bytes) == .success }
        world.run(for: .seconds(11))
        let checks = world.sent.filter { $0.agent == 0 }.map(\.bytes)
        #expect((5...7).contains(checks.count))
        #expect((2...3).contains(Set(checks).count))
    }

    @Test("the answer to a repeated check tells no round trip")
    func repeatedRoundTrip() {
        var world = connected()
        world.passes = { _ in false }
        world.sent = []
        #expect(world.run(for: .seconds(7)) { $0.sent.contains { $0.agent == 0 } })
        world.passes = { _ in true }
        world.run(for: .seconds(2))
        #expect(world.sent.filter { $0.agent == 0 && classOf($0.bytes) == .request }.count == 2)
        #expect(world.agents[0].roundTripTime == .milliseconds(10))
    }

    @Test("an hour with 10 % loss never fails", arguments: 1...5 as ClosedRange<UInt64>)
    func lossyHour(seed: UInt64) {
        var world = connected(seed: seed)
        world.loss = 0.1
        world.run(for: .seconds(3600))
        #expect(world.states[0].count < 10)
        #expect(!world.states[0].contains(.failed), "seed \(seed)")
    }

    @Test("a response from another address is no consent, nor does it validate the address")
    func asymmetric() throws {
        var agent = makeAgent(role: .controlled)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        let peer = Peer()
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        let candidate = try #require(Candidate(parsing: "candidate:1 1 udp 1 198.51.100.7 50000 typ host"))
        #expect(agent.addRemoteCandidate(candidate, now: .zero) == .added)
        let check = try #require(agent.transmissions().first)
        let response = try #require(peer.response(to: check.bytes))
        let elsewhere = address("198.51.100.8", 50000)
        #expect(agent.receive(response, from: elsewhere, at: seconds(0.1)) == .dropped(.asymmetric))
        #expect(!agent.isValidated(path: 0, remote: elsewhere))
        let forged = try #require(peer.response(to: check.bytes, password: "not the password, is it"))
        #expect(agent.receive(forged, from: peer.source, at: seconds(0.1)) == .dropped(.badIntegrity))
        #expect(agent.receive(response, from: peer.source, at: seconds(0.1)) == .authenticated(displacing: nil))
        #expect(agent.receive(response, from: peer.source, at: seconds(0.2)) == .dropped(.unknownTransaction))
    }
}
