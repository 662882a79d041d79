import DTLS
import TestSupport
import Testing
import Wire

@Suite("DTLS with a peer that is not ours")
struct PeerTests {
    static let both = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM"

    /// Exchanges datagrams until neither has more to say; returns our last event.
    private func run(_ ours: Connection, _ peer: OpenSSLPeer) -> Connection.Output? {
        ours.start(now: .zero)
        var event: Connection.Output?
        var toPeer: [[UInt8]] = []
        func collect() {
            while let output = ours.poll() {
                if case .transmit(let datagram) = output { toPeer.append(datagram) } else { event = output }
            }
        }
        for _ in 0..<10 {
            collect()
            let answers = peer.exchange(toPeer)
            toPeer = []
            for datagram in answers { ours.receive(datagram.span, now: .zero) }
        }
        collect()
        return event
    }

    @Test(
        "The profile is the first of ours that the peer has, keys have its lengths",
        arguments: [(both, UInt16(0x0007), 28), ("SRTP_AES128_CM_SHA1_80", 0x0001, 30)],
        [Connection.Role.client, .server])
    func profiles(offer: (String, UInt16, Int), role: Connection.Role) throws {
        let ours = try Connection(certificate: certificates.0, role: role, now: .zero)
        let peer = try #require(OpenSSLPeer(client: role == .server, identity: .ecdsa, profiles: offer.0))
        let event = run(ours, peer)
        guard case .connected(let keys)? = event else { Issue.record("\(String(describing: event))"); return }
        // As a client we send both, and the server's order counts.
        #expect(role == .server || offer.1 == 1 ? keys.profile == offer.1 : keys.profile == 0x0001)
        #expect(keys.client.count == (keys.profile == 7 ? 28 : 30) && keys.server.count == keys.client.count)
        #expect(peer.isConnected)
    }

    @Test(
        "A peer that gets and sends everything several times connects", arguments: [Connection.Role.client, .server],
        1...20)
    func repetition(role: Connection.Role, seed: UInt64) throws {
        let ours = try Connection(certificate: certificates.0, role: role, now: .zero)
        let peer = try #require(OpenSSLPeer(client: role == .server, identity: .ecdsa, profiles: Self.both))
        var random = Seeded(seed)
        var events: [Connection.Output] = []
        var toPeer: [[UInt8]] = []
        var everything: [[UInt8]] = []
        func collect() {
            while let output = ours.poll() {
                if case .transmit(let datagram) = output { toPeer.append(datagram) } else { events.append(output) }
            }
        }
        ours.start(now: .zero)
        collect()
        for _ in 0..<20 {
            // As on a path slower than the timer: the answer comes after the question was asked again.
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                guard let deadline = ours.deadline, deadline < .zero + .seconds(14) else { break }
                ours.handleTimeout(now: deadline)
                collect()
            }
            let answers = peer.exchange(toPeer + toPeer.shuffled(using: &random))
            toPeer = []
            everything += answers
            for datagram in answers + everything.shuffled(using: &random).prefix(5) {
                ours.receive(datagram.span, now: .zero)
                collect()
            }
        }
        guard case .connected? = events.first else { Issue.record("\(events)"); return }
        #expect(events.count == 1 && peer.isConnected)
    }

    @Test("A peer with an RSA certificate connects", arguments: [Connection.Role.client, .server])
    func rsa(role: Connection.Role) throws {
        let ours = try Connection(certificate: certificates.0, role: role, now: .zero)
        let peer = try #require(OpenSSLPeer(client: role == .server, identity: .rsa, profiles: Self.both))
        guard case .connected? = run(ours, peer) else { Issue.record("not connected"); return }
        #expect(peer.isConnected)
    }

    @Test("A client without a certificate is refused")
    func noCertificate() throws {
        let ours = try Connection(certificate: certificates.0, role: .server, now: .zero)
        let peer = try #require(OpenSSLPeer(client: true, identity: .none, profiles: Self.both))
        let event = run(ours, peer)
        if case .connected? = event { Issue.record("connected without a certificate") }
        #expect(!peer.isConnected)
        #expect(ours.peerFingerprint(.sha256) == nil)
    }

    @Test("A peer without a common protection profile is refused")
    func noProfile() throws {
        let ours = try Connection(certificate: certificates.0, role: .server, now: .zero)
        let peer = try #require(OpenSSLPeer(client: true, identity: .ecdsa, profiles: "SRTP_AEAD_AES_256_GCM"))
        #expect(run(ours, peer) == .failed(.noProtectionProfile))
    }

    @Test("A ClientHello in fragments, in either order, is put together", arguments: [false, true])
    func fragmentedClientHello(reversed: Bool) throws {
        let ours = try Connection(certificate: certificates.0, role: .server, now: .zero)
        let peer = try #require(OpenSSLPeer(client: true, identity: .ecdsa, profiles: Self.both, padding: 1400))
        let hello = peer.exchange([])
        #expect(hello.count >= 2)
        for datagram in reversed ? hello.reversed() : hello {
            #expect(ours.poll() == nil)
            ours.receive(datagram.span, now: .zero)
        }
        guard case .connected? = run(ours, peer) else { Issue.record("not connected"); return }
        #expect(peer.isConnected)
    }
}
