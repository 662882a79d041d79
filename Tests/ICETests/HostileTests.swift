import ICE
import STUN
import TestSupport
import Testing
import Wire

@Suite("Hostile peers")
struct HostileTests {
    private func checking(mayDial: DialRules = DialRules(), limits: Agent.Limits = .init(), peer: Peer) -> Agent {
        var agent = makeAgent(role: .controlled, mayDial: mayDial, limits: limits)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.addLocalCandidate(address: address("2001:db8::a", 40000), path: 1)
        agent.setRemoteCredentials(peer.credentials, now: .zero)
        return agent
    }

    @Test("no packet goes to a forbidden address, signalled or peer-reflexive", arguments: Forbidden.hosts)
    func forbidden(host: String) throws {
        var peer = Peer()
        var agent = checking(mayDial: DialRulesTests.rules, peer: peer)
        for kind in ["host", "srflx", "relay"] {
            let text = "candidate:1 1 udp 1 \(host) 40000 typ \(kind)"
            let candidate = try #require(Candidate(parsing: text))
            #expect(agent.addRemoteCandidate(candidate, now: .zero) == .ignored(.forbiddenAddress))
        }
        for path in 0...1 {
            let request = peer.request(to: agent, useCandidate: true)
            let source = try #require(SocketAddress(host, port: 40000))
            #expect(agent.receive(request.span, path: path, from: source, now: .zero) == .dropped(.forbiddenAddress))
            #expect(!agent.isValidated(path: path, remote: source))
        }
        #expect(agent.sends(until: seconds(60)).isEmpty)
    }

    @Test("1000 candidates cause at most 100 checks to 32 addresses")
    func flood() throws {
        var agent = checking(peer: Peer())
        var outcomes: [Agent.AddOutcome] = []
        for index in 0..<1000 {
            let host = index % 2 == 0 ? "198.51.\(index / 250).\(index % 250)" : "2001:db8::\(index)"
            let candidate = try #require(Candidate(parsing: "candidate:1 1 udp \(index) \(host) 40000 typ host"))
            outcomes.append(agent.addRemoteCandidate(candidate, now: .zero))
        }
        #expect(outcomes.count { $0 == .added } == 32)
        #expect(outcomes.count { $0 == .ignored(.tooMany) } == 968)
        let sent = agent.sends(until: seconds(120))
        #expect((33...100).contains(sent.count))
        #expect(Set(sent.map(\.to)).count == 32)
        #expect(agent.state == .failed)
    }

    @Test("checks leave no closer together than 50 ms")
    func pacing() throws {
        var agent = checking(peer: Peer())
        for index in 0..<32 {
            let candidate = try #require(Candidate(parsing: "candidate:1 1 udp 1 198.51.100.\(index) 40000 typ host"))
            _ = agent.addRemoteCandidate(candidate, now: .zero)
        }
        #expect(agent.sends(until: seconds(0.999)).count == 20)
    }

    @Test("a triggered check goes out before those that wait")
    func triggered() throws {
        var peer = Peer()
        var agent = checking(peer: peer)
        for index in 0..<32 {
            let text = "candidate:1 1 udp 2130706431 198.51.100.\(100 + index) 40000 typ host"
            _ = agent.addRemoteCandidate(try #require(Candidate(parsing: text)), now: .zero)
        }
        _ = agent.sends(until: seconds(0.01))
        _ = agent.receive(peer.request(to: agent, priority: 1), from: peer.source, at: seconds(0.01))
        let next = agent.sends(until: seconds(0.06)).first { classOf($0.bytes) == .request }
        #expect(next?.to == peer.source)
    }

    @Test("a peer with the wrong password gets no answer and is never validated")
    func wrongPassword() {
        var peer = Peer()
        var agent = checking(peer: peer)
        for step in 0..<100 {
            let now = seconds(Double(step) / 10)
            let request = peer.request(to: agent, useCandidate: true, password: "wrongwrongwrongwrongwrong")
            #expect(agent.receive(request, from: peer.source, at: now) == .dropped(.badIntegrity))
            let unknown = peer.request(to: agent, ufrag: "nobody")
            #expect(agent.receive(unknown, from: peer.source, at: now) == .dropped(.unknownUfrag))
        }
        #expect(agent.sends(until: seconds(60)).isEmpty)
        #expect(!agent.isValidated(path: 0, remote: peer.source))
        #expect(agent.counters[.badIntegrity] == 100)
        #expect(agent.counters[.unknownUfrag] == 100)
        #expect(agent.counters.received == 200)
        #expect(agent.counters.sent == 0)
    }

    @Test("the right password from another generation of the peer is not enough")
    func wrongRemoteUfrag() {
        var peer = Peer()
        var agent = checking(peer: peer)
        peer.credentials.ufrag = "else"
        #expect(agent.receive(peer.request(to: agent), from: peer.source, at: .zero) == .dropped(.unknownUfrag))
    }

    @Test("agents whose responses are all lost do not answer checks with checks for ever")
    func pingPong() {
        var world = World()
        world.delay = 0...0
        world.passes = { classOf($0.bytes) == .request }
        world.tellEverything()
        world.run(for: .seconds(39))
        let requests = world.sent.count { classOf($0.bytes) == .request }
        #expect(requests <= 2 * 4 * 40)  // either side at most one in 250 ms
        #expect(requests > 10)
    }

    @Test("a network that sends everything back causes no packet beyond the checks")
    func mirror() throws {
        var agent = checking(peer: Peer())
        let candidate = try #require(Candidate(parsing: "candidate:1 1 udp 1 198.51.100.7 50000 typ host"))
        _ = agent.addRemoteCandidate(candidate, now: .zero)
        var waiting = agent.transmissions()
        var count = 0
        while let packet = waiting.popLast() {
            count += 1
            let reception = agent.receive(packet.bytes, from: packet.to, at: seconds(Double(count) / 100))
            #expect(reception == .dropped(.unknownUfrag))
            waiting += agent.transmissions()
            guard count < 100 else { break }
        }
        #expect(count < 10)
    }

    @Test("of more than 16 tuples the one heard from longest ago gives way, never the selected one")
    func tuples() throws {
        var peer = Peer()
        var agent = checking(peer: peer)
        let home = peer.source
        #expect(
            agent.receive(peer.request(to: agent, useCandidate: true), from: home, at: .zero)
                == .authenticated(displacing: nil))
        let check = try #require(agent.transmissions().first { classOf($0.bytes) == .request })
        let response = try #require(peer.response(to: check.bytes))
        #expect(agent.receive(response, from: home, at: seconds(0.1)) == .authenticated(displacing: nil))
        #expect(agent.selected?.remote == home)
        var displaced: [Tuple] = []
        for port in 1...100 as ClosedRange<UInt16> {
            let source = address("198.51.100.7", 50000 + port)
            let reception = agent.receive(peer.request(to: agent), from: source, at: seconds(0.1 + Double(port) / 1000))
            guard case .authenticated(let old) = reception else {
                Issue.record("\(reception)")
                continue
            }
            if let old { displaced.append(old) }
            #expect(agent.isValidated(path: 0, remote: source))
        }
        #expect(displaced.count == 85)
        #expect(displaced.first?.remote.port == 50001)
        #expect(agent.isValidated(path: 0, remote: home))
        #expect(agent.selected?.remote == home)
        #expect(!agent.isValidated(path: 0, remote: address("198.51.100.7", 50085)))
        #expect(agent.isValidated(path: 0, remote: address("198.51.100.7", 50086)))
        #expect(agent.sends(until: seconds(29)).count < 100 + 16 * 11 + 10)
    }

    @Test("an unknown comprehension-required attribute is answered with 420, but only to one who knows the password")
    func unknownAttribute() throws {
        var configuration = Agent.Configuration(
            role: .controlled, credentials: Credentials(ufrag: "abcd", password: "0123456789abcdefghijkl"),
            tieBreaker: 1, transactionTag: 1, randomness: .seeded(1), mayDial: DialRules())
        configuration.limits = Agent.Limits()
        var agent = Agent(configuration, now: .zero)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        // USERNAME abcd:peer, attribute 0x7f24, MESSAGE-INTEGRITY with the password above.
        let digits =
            "000100302112a442000102030405060708090a0b00060009616263643a70656572000000"
            + "7f2400040000000100080014edab65f88c4fc9ffe47841f0120cd8bbc7a6eac7"
        var request = stride(from: 0, to: digits.count, by: 2).map { index in
            let start = digits.index(digits.startIndex, offsetBy: index)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16) ?? 0
        }
        #expect(agent.receive(request, from: Peer().source, at: .zero) == .authenticated(displacing: nil))
        let answer = try #require(agent.transmissions().first)
        let bytes = answer.bytes
        let message = try STUNMessage(parsing: bytes.span)
        #expect(message.errorCode == 420)
        #expect(message.unknownAttributes == [0x7f24])
        request[59] ^= 1
        #expect(agent.receive(request, from: Peer().source, at: .zero) == .dropped(.badIntegrity))
        #expect(agent.transmissions().isEmpty)
    }

    @Test(
        "10 000 random and 10 000 mutated datagrams do not trap, nor validate a stranger",
        arguments: [0x5eed_0004 as UInt64])
    func fuzz(seed: UInt64) throws {
        var generator = Seeded(seed)
        var world = World(seed: seed)
        world.loss = 0.2
        world.tellEverything()
        world.run(for: .seconds(20))
        let corpus = world.sent.filter { $0.agent == 1 }.map(\.bytes)
        #expect(corpus.count > 5)
        let stranger = address("198.51.100.99", 50000)
        for round in 0..<20_000 {
            var datagram: [UInt8]
            if round % 2 == 0 {
                datagram = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                    .random(in: 0...255, using: &generator)
                }
                if datagram.count >= 20 {
                    datagram.removeLast(datagram.count % 4)
                    datagram.replaceSubrange(
                        0..<8, with: [0, 1, 0, UInt8(datagram.count - 20), 0x21, 0x12, 0xa4, 0x42])
                }
            } else {
                datagram = corpus[Int.random(in: 0..<corpus.count, using: &generator)]
                let index = Int.random(in: 0..<datagram.count - 32, using: &generator)  // what the integrity covers
                datagram[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
            world.now = world.now + .microseconds(100)
            let reception = world.agents[0].receive(datagram, from: stranger, at: world.now)
            guard case .dropped = reception else {
                Issue.record("seed \(seed), round \(round): \(datagram)")
                return
            }
        }
        #expect(!world.agents[0].isValidated(path: 0, remote: stranger))
        #expect(world.agents[0].state == .connected)
    }
}
