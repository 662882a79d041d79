import Audio
import ICE
import TestSupport
import Testing
import WebRTC
import Wire

@Suite("Candidate policies")
struct CandidatePolicyTests {
    private typealias Direction = PeerConnection.Configuration.Direction

    private let own = [address("192.0.2.1", 40_000), address("198.51.100.1", 40_001), address("2001:db8::1", 40_002)]

    private func connection(
        mappedAddresses: [Int: SocketAddress] = [:], keeps: @escaping @Sendable (Candidate, Direction) -> Bool
    ) -> (PeerConnection, DatagramBatch) {
        let batch = DatagramBatch(capacity: 64)
        let peer = PeerConnection(
            PeerConnection.Configuration(
                role: .answering, certificate: testCertificate,
                candidates: own.enumerated().map { path, address in .init(address, path: path) }
                    + own.enumerated().compactMap { path, address in
                        mappedAddresses[path].map {
                            .init($0, path: path, kind: .srflx, relatedAddress: address)
                        }
                    },
                tag: 1, randomness: .seeded(1), ntpOrigin: 0, dialRules: DialRules(), keeps: keeps,
                input: PCMInputQueue(frameSize: 320, capacity: 1),
                output: PlayoutQueue(rate: 16_000)),
            batch: batch, now: .zero)
        return (peer, batch)
    }

    private func offer() throws -> String {
        try Endpoint(.offering, at: address("198.51.100.2", 50_000), seed: 2).peer.makeOffer()
    }

    @Test("an answer names no address of ours that was dropped, on no line", arguments: [0, 1, 2, 3])
    func outbound(kept: Int) throws {
        let own = own
        let (peer, _) = connection { candidate, direction in
            direction == .inbound || own.prefix(kept).contains { candidate.address == .ip($0) }
        }
        let answer = try peer.answer(offer: offer(), now: .zero)
        for (index, address) in own.enumerated() {
            #expect(answer.contains(address.host) == (index < kept), "\(answer)")
        }
        let lines = answer.split(separator: "\r\n")
        #expect(lines.count { $0.hasPrefix("a=candidate:") } == kept)
        #expect(peer.localCandidates.count == kept)
        // Whoever reads candidates has no use for the default address, so it says none (RFC 9429 §5.3.1).
        #expect(lines.filter { $0.hasPrefix("c=") } == ["c=IN IP4 0.0.0.0"])
        #expect(lines.contains { $0.hasPrefix("m=audio 9 ") })
    }

    @Test("what NAT makes of an address is a candidate too, and does not give away what was dropped")
    func mapped() throws {
        let mapped = [0: address("203.0.113.5", 40_000), 2: address("2001:db8::5", 40_002)]
        let (open, _) = connection(mappedAddresses: mapped) { _, _ in true }
        let answer = try open.answer(offer: offer(), now: .zero)
        #expect(answer.contains(" 203.0.113.5 40000 typ srflx raddr 192.0.2.1 rport 40000\r\n"), "\(answer)")
        #expect(answer.contains(" 2001:db8::5 40002 typ srflx raddr 2001:db8::1 rport 40002\r\n"))
        #expect(open.localCandidates.count == own.count + 2)
        let (closed, _) = connection(mappedAddresses: mapped) { candidate, direction in
            direction == .inbound || candidate.kind != .host
        }
        let discreet = try closed.answer(offer: offer(), now: .zero)
        #expect(discreet.contains(" 203.0.113.5 40000 typ srflx raddr 0.0.0.0 rport 9\r\n"), "\(discreet)")
        #expect(discreet.contains(" 2001:db8::5 40002 typ srflx raddr :: rport 9\r\n"))
        #expect(own.allSatisfy { !discreet.contains($0.host) })
    }

    @Test("without a relay, who may go by relays only is told so as long as the call has not connected, and not later")
    func noRelay() throws {
        let relay = address("203.0.113.7", 50_000)
        let world = World(seed: 1)
        let gateway = Endpoint(.answering, at: [relay], seed: 3, onlyRelays: true)
        let caller = Endpoint(.offering, at: address("198.51.100.2", 50_000), seed: 2)
        gateway.peer.removeLocalCandidates(path: 0, now: .zero)
        gateway.peer.addLocalCandidate(.init(own[0], path: 0), now: .zero)
        gateway.peer.endOfLocalCandidates()
        #expect(gateway.peer.localCandidates.isEmpty)
        #expect(gateway.peer.poll() == .noRelay && gateway.peer.poll() == nil)

        gateway.peer.addLocalCandidate(.init(relay, path: 0, kind: .relay), now: .zero)
        world.nodes = [gateway, caller]
        let answer = try gateway.peer.answer(offer: caller.peer.makeOffer(), now: world.now)
        for candidate in gateway.peer.localCandidates { caller.note(candidate) }
        try caller.peer.accept(answer: answer, now: world.now)
        try #require(world.run(for: .seconds(5)) { gateway.isConnected && caller.isConnected })
        gateway.peer.removeLocalCandidates(path: 0, now: world.now)
        gateway.peer.endOfLocalCandidates()
        world.run(for: .seconds(1))
        // `.noRelay` would be a fault in a simulated call.
        #expect(gateway.end == nil && gateway.events.map(\.event).contains(.disconnected))
        gateway.peer.addLocalCandidate(.init(relay, path: 0, kind: .relay), now: world.now)
        #expect(world.run(for: .seconds(5)) { gateway.events.last?.event == .reconnected })
    }

    @Test("a dropped candidate of the caller's is sent nothing, in whatever way it came", arguments: [true, false])
    func inbound(isTrickled: Bool) throws {
        let dropped = address("203.0.113.9", 5_000)
        let kept = address("203.0.113.10", 5_000)
        let (peer, batch) = connection { candidate, direction in
            direction == .outbound || candidate.address != .ip(dropped)
        }
        let texts = [dropped, kept].enumerated().map { index, address in
            "candidate:\(index) 1 udp 2130706431 \(address.host) \(address.port) typ host"
        }
        let lines = isTrickled ? "" : texts.map { "a=\($0)\r\n" }.joined()
        _ = try peer.answer(offer: offer() + lines, now: .zero)
        if isTrickled {
            #expect(texts.map { peer.addRemoteCandidate($0, now: .zero) } == [false, true])
        }
        var sent: [SocketAddress] = []
        while let deadline = peer.deadline, deadline < .zero + .seconds(5) {
            sent += batch.entries.map(\.destination)
            batch.removeAll()
            peer.handleTimeout(now: deadline)
        }
        #expect(Set(sent) == [kept])
    }
}
