import ICE
import STUN
import Testing
import Wire

/// What becomes of a selected pair that nothing comes on any more.
@Suite("A selected pair that falls silent")
struct SilenceTests {
    private static let second = address("198.51.100.2", 50001)

    /// Two agents with two sockets each, of which all can reach all. The first is controlled.
    private func connected(seed: UInt64 = 1) -> World {
        var world = World(seed: seed)
        for index in 0...1 {
            world.sockets[index].append(address(index == 0 ? "192.0.2.1" : "198.51.100.2", index == 0 ? 40001 : 50001))
            world.agents[index].addLocalCandidate(address: world.sockets[index][1], path: 1)
        }
        world.tellEverything()
        #expect(world.run(for: .seconds(1)) { $0.areConnected })
        world.run(for: .seconds(2))
        #expect(world.agents[0].selected == Tuple(path: 0, remote: world.sockets[1][0]))
        return world
    }

    /// Media both ways for a while, every 20 ms, as far as the pairs that carry it let through.
    private func talk(_ world: inout World, for duration: Duration, until done: (World) -> Bool = { _ in false })
        -> Bool
    {
        let end = world.now + duration
        while world.now < end {
            world.run(for: .milliseconds(20))
            if done(world) { return true }
            for index in 0...1 {
                guard let to = world.agents[1 - index].selected,
                    let path = world.sockets[index].firstIndex(of: to.remote)
                else { continue }
                let from = world.sockets[1 - index][to.path]
                let media = World.Sent(at: world.now, agent: 1 - index, path: to.path, to: to.remote, bytes: [128])
                guard world.passes(media) else { continue }
                world.agents[index].heardMedia(path: path, from: from, now: world.now)
            }
        }
        return false
    }

    @Test(
        "is left by both for one that works, within 2 s of the last media, and stays left",
        arguments: 1...20 as ClosedRange<UInt64>)
    func pathDies(seed: UInt64) {
        var world = connected(seed: seed)
        _ = talk(&world, for: .seconds(3))
        // The first socket of the controlling side is gone.
        let gone = world.sockets[1][0]
        let before = world
        world.passes = { sent in
            sent.to != gone && !(sent.agent == 1 && before.agents[1].selected?.path == 0 && sent.bytes == [128])
        }
        world.sockets[1][0] = address("198.51.100.99", 1)
        let cut = world.now
        let moved = talk(&world, for: .seconds(10)) { world in
            world.agents[0].selected?.remote == Self.second && world.agents[1].selected?.path == 1
        }
        #expect(moved)
        #expect((.seconds(0.5) ... .seconds(1.9)).contains(world.now - cut), "\(world.now - cut)")
        world.passes = { _ in true }
        #expect(!talk(&world, for: .seconds(60)) { $0.agents[0].selected?.remote != Self.second })
        #expect(world.states[0] == [.checking, .connected])
    }

    @Test("is kept as long as anything comes on it, whatever else is checked")
    func alive() {
        var world = connected()
        let selections = world.selections.map(\.count)
        #expect(!talk(&world, for: .seconds(120)) { world in world.selections.map(\.count) != selections })
        // And without media.
        world.run(for: .seconds(120))
        #expect(world.selections.map(\.count) == selections)
    }

    // MARK: - A controlled agent, and a peer that is played

    private var peer = Peer()
    private let home = address("198.51.100.7", 50000)
    private let moved = address("198.51.100.8", 50000)

    /// Answers what is asked of these addresses.
    private mutating func run(_ agent: inout Agent, until end: Double, answering addresses: [SocketAddress]) {
        while let deadline = agent.deadline, deadline <= seconds(end) {
            agent.handleTimeout(now: deadline)
            answer(&agent, addresses, at: deadline)
        }
    }

    private mutating func answer(_ agent: inout Agent, _ addresses: [SocketAddress], at now: MonotonicTime) {
        for packet in agent.transmissions() where addresses.contains(packet.to) && classOf(packet.bytes) == .request {
            guard let response = peer.response(to: packet.bytes) else { continue }
            _ = agent.receive(response, from: packet.to, at: now)
        }
    }

    private mutating func ask(_ agent: inout Agent, from source: SocketAddress, nominates: Bool, at time: Double) {
        let request = peer.request(to: agent, useCandidate: nominates)
        _ = agent.receive(request, from: source, at: seconds(time))
        answer(&agent, [source], at: seconds(time))
    }

    private mutating func controlled(isLite: Bool = false) -> Agent {
        var agent = makeAgent(role: .controlled, isLite: isLite)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        ask(&agent, from: home, nominates: true, at: 0)
        #expect(agent.selected?.remote == home)
        return agent
    }

    @Test("and a peer that moved without nominating again is followed, 1.5 s after its last media")
    mutating func followed() {
        var agent = controlled()
        for step in 1...100 { agent.heardMedia(path: 0, from: home, now: seconds(Double(step) / 50)) }
        run(&agent, until: 2, answering: [home])
        // Its address is another from 2.0 on; it checks every 2.5 s, as browsers do.
        ask(&agent, from: moved, nominates: false, at: 2.3)
        #expect(agent.selected?.remote == home)
        run(&agent, until: 3.49, answering: [moved])
        #expect(agent.selected?.remote == home)
        run(&agent, until: 3.6, answering: [moved])
        #expect(agent.selected?.remote == moved)
        // Where it nominates, it is followed at once.
        ask(&agent, from: home, nominates: true, at: 3.7)
        #expect(agent.selected?.remote == home)
    }

    @Test(
        "and does not wait for a peer that takes its time: where another address of the peer's answers, media goes there meanwhile"
    )
    mutating func ahead() throws {
        var agent = controlled()
        let spare = try #require(Candidate(parsing: "candidate:1 1 udp 2130706431 198.51.100.8 50000 typ host"))
        #expect(agent.addRemoteCandidate(spare, now: seconds(0.1)) == .added)
        run(&agent, until: 1, answering: [home, moved])
        for step in 1...100 { agent.heardMedia(path: 0, from: home, now: seconds(Double(step) / 50)) }
        run(&agent, until: 2, answering: [home, moved])
        #expect(agent.selected?.remote == home)
        run(&agent, until: 3.45, answering: [moved])
        #expect(agent.selected?.remote == home)
        run(&agent, until: 3.6, answering: [moved])
        #expect(agent.selected?.remote == moved)
        // The peer has the last word.
        ask(&agent, from: home, nominates: true, at: 3.7)
        #expect(agent.selected?.remote == home)
    }

    @Test("and one that only checks from elsewhere, and answers nothing there, is not followed")
    mutating func unanswered() {
        var agent = controlled()
        for step in 1...6 {
            _ = agent.receive(peer.request(to: agent), from: moved, at: seconds(Double(step) * 2))
            run(&agent, until: Double(step) * 2, answering: [])
        }
        #expect(agent.selected?.remote == home)
    }

    @Test("and a stranger who repeats what the peer has sent, or does not know the password, is not followed")
    mutating func forged() {
        var agent = controlled()
        let overheard = peer.request(to: agent)
        _ = agent.receive(overheard, from: home, at: seconds(0.1))
        answer(&agent, [home], at: seconds(0.1))
        var count = 0
        for step in 1...200 {
            let now = seconds(0.1 + Double(step) / 10)
            _ = agent.receive(overheard, from: moved, at: now)
            let wrong = peer.request(to: agent, useCandidate: true, password: "nobody has told me, alas")
            #expect(agent.receive(wrong, from: moved, at: now) == .dropped(.badIntegrity))
            while let deadline = agent.deadline, deadline <= now { agent.handleTimeout(now: deadline) }
            for packet in agent.transmissions() where packet.to == moved {
                count += 1
                // It cannot seal an answer.
                guard let forgery = peer.response(to: packet.bytes, password: "nobody has told me, alas") else {
                    continue
                }
                _ = agent.receive(forgery, from: moved, at: now)
            }
            #expect(agent.selected?.remote == home)
        }
        // An answer to each of the 200, and the checks that they ask for, a few a second.
        #expect((200...300).contains(count), "\(count)")
    }

    @Test("is asked at once when its media stops, once, and answered, is kept", arguments: [true, false])
    mutating func pause(isLite: Bool) throws {
        var agent = controlled(isLite: isLite)
        for step in 1...50 { agent.heardMedia(path: 0, from: home, now: seconds(Double(step) / 50)) }
        #expect(agent.sends(until: seconds(1.99)).isEmpty)
        let checks = agent.sends(until: seconds(2))
        #expect(checks.map(\.to) == [home])
        let check = try #require(checks.first)
        let answer = try #require(peer.response(to: check.bytes))
        _ = agent.receive(answer, from: home, at: seconds(2.01))
        #expect(agent.sends(until: seconds(6)).isEmpty)
    }
}
