import ICE
import STUN
import Testing
import Wire

@Suite("ICE restart, RFC 8445 §9")
struct RestartTests {
    private func connected() -> World {
        var world = World()
        world.tellEverything()
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
        world.run(for: .seconds(1))
        return world
    }

    private func fresh(_ ufrag: String) -> Credentials {
        Credentials(ufrag: ufrag, password: "abcdefghijklmnopqrstuvwx")
    }

    @Test("media never stops, and the old credentials end when a new pair is selected")
    func restart() {
        var world = connected()
        let old = world.agents[0].localCredentials
        world.agents[1].restart(credentials: fresh("new1"), now: world.now)
        #expect(!world.run(for: .seconds(10)) { $0.agents.contains { $0.selected == nil } })
        world.agents[0].restart(credentials: fresh("new0"), now: world.now)
        #expect(!world.run(for: .seconds(10)) { $0.agents.contains { $0.selected == nil } })
        for index in 0...1 {
            world.tellCredentials(to: index)
            world.tellCandidates(to: index)
        }
        let count = world.selections.map(\.count)
        #expect(!world.run(for: .seconds(60)) { $0.agents.contains { $0.selected == nil } })
        #expect(world.selections.map(\.count) == count.map { $0 + 1 })
        #expect(world.states[0] == [.checking, .connected])
        var peer = Peer()
        let late = peer.request(to: world.agents[0], password: old.password, ufrag: old.ufrag)
        #expect(world.agents[0].receive(late, from: peer.source, at: world.now) == .dropped(.unknownUfrag))
    }

    @Test("restarting twice before the peer answers keeps the old pair alive")
    func twice() {
        var world = connected()
        for name in ["new2", "new3"] {
            world.agents[0].restart(credentials: fresh(name), now: world.now)
            world.run(for: .seconds(40))
            #expect(world.agents[0].selected != nil)
        }
        world.agents[1].restart(credentials: fresh("new4"), now: world.now)
        for index in 0...1 {
            world.tellCredentials(to: index)
            world.tellCandidates(to: index)
        }
        let count = world.selections.map(\.count)
        world.run(for: .seconds(5))
        #expect(world.selections.map(\.count) == count.map { $0 + 1 })
        #expect(world.areConnected)
    }

    @Test("a call that moved to another network is found again while the old consent runs out")
    func newNetwork() {
        var world = connected()
        world.sockets[1] = [address("203.0.113.9", 50009)]
        for index in 0...1 {
            world.agents[index].restart(credentials: fresh("net\(index)"), now: world.now)
        }
        for index in 0...1 { world.tellCredentials(to: index) }
        world.tellCandidates(to: 1)
        #expect(world.run(for: .seconds(5)) { $0.agents[0].selected?.remote == address("203.0.113.9", 50009) })
        world.run(for: .seconds(60))
        #expect(world.areConnected)
    }

    @Test("a peer that restarts again and again and is never heard is given up 45 s after it last was")
    func inVain() throws {
        var world = connected()
        let lost = world.now
        let peer = try #require(world.agents[0].selected).remote
        world.passes = { _ in false }
        for count in 1...20 {
            world.agents[0].restart(credentials: fresh("mine\(count)"), now: world.now)
            world.agents[0].setRemoteCredentials(fresh("your\(count)"), now: world.now)
            let candidate = try #require(Candidate(parsing: "candidate:1 1 udp 1 \(peer.host) \(peer.port) typ host"))
            _ = world.agents[0].addRemoteCandidate(candidate, now: world.now)
            if world.run(for: .seconds(5), until: { $0.agents[0].state == .failed }) { break }
        }
        #expect(world.agents[0].state == .failed)
        #expect((40_000...45_000).contains((world.now - lost).milliseconds), "\(world.now - lost)")
    }

    @Test("a failed agent starts over")
    func afterFailure() {
        var world = World()
        world.passes = { _ in false }
        world.tellEverything()
        world.run(for: .seconds(60))
        #expect(world.agents.map(\.state) == [.failed, .failed])
        world.passes = { _ in true }
        for index in 0...1 { world.agents[index].restart(credentials: fresh("again\(index)"), now: world.now) }
        world.tellEverything()
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
    }

    @Test("candidates of the old generation are ignored, of the new one kept until its credentials come")
    func generations() throws {
        var agent = makeAgent(role: .controlled)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        let text = "candidate:1 1 udp 1 198.51.100.7 50000 typ host ufrag "
        let (old, new) = try (#require(Candidate(parsing: text + "old")), #require(Candidate(parsing: text + "new")))
        agent.setRemoteCredentials(fresh("old"), now: .zero)
        #expect(agent.addRemoteCandidate(new, now: .zero) == .ignored(.otherGeneration))
        agent.restart(credentials: fresh("local"), now: .zero)
        #expect(agent.addRemoteCandidate(old, now: .zero) == .added)
        agent.setRemoteCredentials(fresh("new"), now: .zero)
        #expect(agent.sends(until: seconds(5)).isEmpty)
        #expect(agent.addRemoteCandidate(new, now: seconds(5)) == .added)
        #expect(!agent.sends(until: seconds(6)).isEmpty)
    }
}
