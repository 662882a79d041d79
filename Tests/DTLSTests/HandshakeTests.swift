import DTLS
import Testing
import Wire

@Suite("DTLS handshake, RFC 6347 and RFC 5764")
struct HandshakeTests {
    @Test("Both sides connect in two round trips and hold the same keys, AES-GCM first")
    func connects() throws {
        var association = try Association()
        association.run()
        let keys = try #require(association.clientKeys)
        #expect(association.serverKeys == keys)
        #expect(keys.profile == 0x0007)
        #expect(keys.client.count == 28 && keys.server.count == 28 && keys.client != keys.server)
        #expect(association.now == MonotonicTime(nanoseconds: 40_000_000))
        #expect(association.client.deadline == nil && association.server.deadline == nil)
    }

    @Test("Each side sees the certificate the other shows")
    func fingerprints() throws {
        var association = try Association()
        #expect(association.client.peerFingerprint(.sha256) == nil)
        association.run()
        #expect(association.client.peerFingerprint(.sha256) == certificates.1.sha256Fingerprint)
        #expect(association.server.peerFingerprint(.sha256) == certificates.0.sha256Fingerprint)
        #expect(certificates.0.sha256Fingerprint != certificates.1.sha256Fingerprint)
        #expect(association.client.peerFingerprint(.sha384)?.count == 48)
        #expect(association.client.peerFingerprint(.sha512)?.count == 64)
    }

    @Test(
        "With loss each way the handshake completes, except where 15 s were not enough",
        arguments: [(0.2, 200), (0.4, 190)])
    func loss(rate: Double, expected: Int) throws {
        var connected = 0
        for seed in 1...200 as ClosedRange<UInt64> {
            var association = try Association(.init(loss: rate), seed: seed)
            association.run()
            #expect(association.sent.allSatisfy { $0.count <= 1200 })
            if let keys = association.clientKeys, association.serverKeys == keys {
                connected += 1
            } else {
                let ends = (association.clientEvents + association.serverEvents).filter {
                    if case .failed = $0 { true } else { false }
                }
                #expect(!ends.isEmpty && ends.allSatisfy { $0 == .failed(.timedOut(seconds: 15, alert: nil)) })
            }
        }
        #expect(connected >= expected)
    }

    @Test("A lost last flight is sent again when the peer's comes again, under a fresh record number")
    func lostLastFlight() throws {
        var association = try Association()
        var finals: [[UInt8]] = []
        association.network.tamper = { side, datagram in
            guard side == .client, datagram[0] == 20 else { return [datagram] }
            finals.append(datagram)
            return finals.count < 3 ? [] : [datagram]
        }
        association.run()
        #expect(association.serverKeys != nil && association.clientKeys == association.serverKeys)
        #expect(finals.count == 3 && Set(finals).count == 3)
        // 50 ms doubled: the client's third attempt leaves 150 ms after the first, and one round trip ends it.
        #expect(association.now == MonotonicTime(nanoseconds: 190_000_000))
    }

    @Test("Retransmissions come after 50 ms, doubled to 2 s, and end after 15 s")
    func schedule() throws {
        let client = try Connection(certificate: certificates.0, role: .client, now: .zero)
        client.start(now: .zero)
        var times: [Double] = [0]
        guard case .transmit? = client.poll() else { Issue.record("no ClientHello"); return }
        var last: Connection.Output?
        while let deadline = client.deadline {
            client.handleTimeout(now: deadline)
            last = client.poll()
            if case .transmit? = last { times.append((deadline - .zero).milliseconds / 1000) }
            #expect(client.poll() == nil)
        }
        #expect(times == [0, 0.05, 0.15, 0.35, 0.75, 1.55, 3.15, 5.15, 7.15, 9.15, 11.15, 13.15])
        #expect(last == .failed(.timedOut(seconds: 15, alert: nil)))
    }

    @Test("close_notify ends the other side, and only an established one says it")
    func closeNotify() throws {
        var association = try Association()
        association.client.close()
        #expect(association.client.poll() == nil)

        association = try Association()
        association.run()
        association.client.close()
        association.collect()
        association.run()
        #expect(association.serverEvents.last == .closed)
        #expect(association.clientEvents.count == 1)
        association.server.receive([22, 0xfe, 0xfd].span, now: association.now)
        #expect(association.server.poll() == nil)
    }
}
