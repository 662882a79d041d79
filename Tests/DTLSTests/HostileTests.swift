import DTLS
import TestSupport
import Testing
import Wire

@Suite("DTLS under hostile datagrams")
struct HostileTests {
    static func record(_ type: UInt8, epoch: UInt16 = 0, _ body: [UInt8]) -> [UInt8] {
        var record: [UInt8] = [type, 0xfe, 0xfd]
        record.append(uint16: epoch)
        record += [0, 0, 0, 0, 0, 7]
        record.append(uint16: UInt16(body.count))
        return record + body
    }

    static let junk: [[UInt8]] = [
        [], [22], [22, 0xfe, 0xfd, 0, 0],
        record(21, [2, 40]), record(21, [1, 0]), record(21, epoch: 1, [2, 40]),
        record(23, [1, 2, 3]), record(23, epoch: 1, [1, 2, 3]), record(24, [1, 0, 9]), record(99, [0]),
        record(20, [1]), record(20, [7]), record(20, [1, 1]), record(20, epoch: 1, [1]),
        record(22, []), record(22, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        record(22, epoch: 1, [UInt8](repeating: 9, count: 40)),
        record(22, epoch: 2, [UInt8](repeating: 9, count: 40)),
        record(22, [2, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff]),  // a message of 16 MiB
        record(22, [1, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff]),
        record(22, [20, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 12] + [UInt8](repeating: 0, count: 12)),
        [UInt8](repeating: 22, count: 1500),
    ]

    @Test("Junk before, within and after a handshake is dropped")
    func junk() throws {
        var association = try Association()
        var random = Seeded(3)
        association.network.tamper = { _, datagram in
            let noise = (0..<8).map { _ in [UInt8.random(in: 20...63, using: &random)] + random.bytes(100) }
            return Self.junk + noise + [datagram] + Self.junk
        }
        for datagram in Self.junk {
            association.client.receive(datagram.span, now: .zero)
            association.server.receive(datagram.span, now: .zero)
        }
        association.run()
        let keys = try #require(association.clientKeys)
        #expect(association.serverKeys == keys)
        for datagram in Self.junk {
            association.client.receive(datagram.span, now: association.now)
            association.server.receive(datagram.span, now: association.now)
        }
        association.collect()
        #expect(association.clientEvents.count == 1 && association.serverEvents.count == 1)
        association.network.tamper = { _, datagram in [datagram] }
        association.server.close()
        association.collect()
        association.run()
        #expect(association.clientEvents.last == .closed)
    }

    @Test("A record after the handshake that is too short to be authentic is dropped", arguments: [20, 21, 22, 23, 24])
    func short(type: UInt8) throws {
        for length in 0...40 {
            var association = try Association()
            association.run()
            let record = Self.record(type, epoch: 1, [UInt8](repeating: 9, count: length))
            for datagram in [record, record + record, Self.record(22, [1]) + record] {
                association.client.receive(datagram.span, now: association.now)
                association.server.receive(datagram.span, now: association.now)
            }
            association.collect()
            #expect(association.clientEvents.count == 1 && association.serverEvents.count == 1, "\(length) bytes")
        }
    }

    @Test("Damaged copies of every datagram neither end a handshake nor trap", arguments: 1...60 as ClosedRange<UInt64>)
    func damage(seed: UInt64) throws {
        var association = try Association(seed: seed)
        var random = Seeded(seed)
        association.network.tamper = { _, datagram in
            var damaged = datagram
            // The record header only: a changed body is a forgery, which nobody can tell before Finished.
            let index = Int.random(in: 0..<min(12, datagram.count), using: &random)
            damaged[index] ^= UInt8.random(in: 1...255, using: &random)
            return [damaged, Array(datagram.prefix(Int.random(in: 0..<datagram.count, using: &random))), datagram]
        }
        association.run()
        #expect(association.clientKeys != nil && association.clientKeys == association.serverKeys)
    }

    @Test("A ClientHello that cannot be answered ends the server at once, with an alert")
    func unanswerableClientHello() throws {
        var hello: [UInt8] = [1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xfe, 0xfd]
        hello += [UInt8](repeating: 5, count: 32) + [0, 0, 0, 2, 0, 0, 1, 0]  // only the NULL cipher
        let server = try Connection(certificate: certificates.0, role: .server, now: .zero)
        server.receive(Self.record(22, hello).span, now: .zero)
        guard case .transmit(let alert)? = server.poll() else { Issue.record("no alert"); return }
        #expect(alert.first == 21 && alert.suffix(2) == [2, 40])
        guard case .failed(.library(.handshake, _, _))? = server.poll() else { Issue.record("no end"); return }
        #expect(server.deadline == nil && server.poll() == nil)
    }

    @Test("A ServerHello with what was not offered is dropped, and the handshake goes on", arguments: 0..<3)
    func forgedServerHello(kind: Int) throws {
        var association = try Association(seed: 3)
        var hello: [UInt8] = [2, 0, 0, 38, 0, 0, 0, 0, 0, 0, 0, 38] + (kind == 0 ? [0xfe, 0xff] : [0xfe, 0xfd])
        hello += [UInt8](repeating: 5, count: 32) + [kind == 1 ? 200 : 0] + [0, 2, 0]  // NULL-SHA
        let forged = Self.record(22, hello)
        var isForged = false
        association.network.tamper = { _, datagram in
            defer { isForged = true }
            return isForged ? [datagram] : [forged, datagram]
        }
        association.client.receive(forged.span, now: .zero)
        association.run()
        #expect(association.clientKeys != nil && association.clientKeys == association.serverKeys)
    }

    @Test("An alert in the clear is not believed, but named when the handshake times out")
    func clearAlert() throws {
        let client = try Connection(certificate: certificates.0, role: .client, now: .zero)
        client.start(now: .zero)
        client.receive(Self.record(21, [2, 40]).span, now: .zero)
        client.handleTimeout(now: .zero + .seconds(15))
        var last: Connection.Output?
        while let output = client.poll() { last = output }
        #expect(last == .failed(.timedOut(seconds: 15, alert: 40)))
        #expect(client.deadline == nil)
    }

    @Test("Random datagrams do not trap, in a handshake or after it")
    func random() throws {
        var association = try Association()
        var random = Seeded(9)
        func shower(_ connection: Connection) {
            for _ in 0..<5000 {
                var datagram = random.bytes(Int.random(in: 0...300, using: &random))
                if datagram.count > 13, random.chance(0.8) {
                    datagram.replaceSubrange(
                        0..<5,
                        with: [UInt8.random(in: 20...24, using: &random), 0xfe, 0xfd, 0, UInt8(random.next() & 1)])
                    datagram.set(uint16: UInt16(datagram.count - 13), at: 11)
                }
                connection.receive(datagram.span, now: .zero)
                while connection.poll() != nil {}
            }
        }
        association.run()
        shower(association.client)
        shower(association.server)
        association.server.close()
        association.collect()
        association.run()
        #expect(association.clientEvents.last == .closed)
        shower(try Connection(certificate: certificates.0, role: .server, now: .zero))
    }
}
