import ICE
import TestSupport
import Testing
import Wire

@Suite("Candidate text, RFC 8839 §5.1")
struct CandidateTests {
    @Test(
        "what browsers send is read",
        arguments: [
            "candidate:842163049 1 udp 1677729535 203.0.113.1 50000 typ srflx raddr 10.0.0.1 rport 40000 generation 0 ufrag abcd network-cost 999",
            "a=candidate:842163049 1 UDP 1677729535 203.0.113.1 50000 typ srflx raddr 10.0.0.1 rport 40000 generation 0 ufrag abcd\r\n",
            "842163049 1 udp 1677729535 203.0.113.1 50000 TYP SRFLX rport 40000 raddr 10.0.0.1 ufrag abcd odd",
            "A=Candidate:842163049  1 Udp 1677729535 203.0.113.1 50000 typ srflx ufrag abcd raddr 10.0.0.1 rport 40000",
        ])
    func browsers(text: String) {
        #expect(
            Candidate(parsing: text)
                == Candidate(
                    foundation: "842163049", priority: 1_677_729_535, address: .ip(address("203.0.113.1", 50000)),
                    kind: .srflx, relatedAddress: address("10.0.0.1", 40000), ufrag: "abcd"))
    }

    @Test("names, TCP and odd foundations are read too")
    func others() throws {
        let name = "6d4a9e0a-0cd8-4b53-9ae7-7cf1be9d34cc.local"
        let mdns = try #require(Candidate(parsing: "candidate:x/+-é 1 udp 2113937151 \(name) 61000 typ host"))
        #expect(mdns.address == .name(name, port: 61000))
        #expect(mdns.foundation == "x/+-é")
        let tcp = try #require(Candidate(parsing: "candidate:1 2 tcp 1518280447 2001:db8::1 9 typ host tcptype active"))
        #expect(tcp.transport == .tcp)
        #expect(tcp.tcpType == .active)
        #expect(tcp.component == 2)
        #expect(tcp.address == .ip(address("2001:db8::1", 9)))
        let hidden = try #require(Candidate(parsing: "candidate:1 1 udp 1 192.0.2.1 9 typ relay raddr x.local rport 0"))
        #expect(hidden.relatedAddress == nil)
    }

    @Test(
        "the type is the word after the first typ, in any letter case, whatever stands behind it",
        arguments: [
            ("1 1 udp 1 10.0.0.1 4 typ host ufrag typ relay", Candidate.Kind.host),
            ("1 1 udp 1 10.0.0.1 4 typ host x typ relay", .host),
            ("1 1 udp 1 10.0.0.1 4 typ host typ relay", .host),
            ("1 1 udp 1 10.0.0.1 4 typ host generation 0 typ relay", .host),
            ("1 1 udp 1 10.0.0.1 4 typ srflx raddr 8.8.8.8 rport 1 typ relay", .srflx),
            ("1 1 udp 1 10.0.0.1 4 typ relay typ host", .relay),
            ("1 1 udp 1 10.0.0.1 4 typ RELAY", .relay),
            ("1 1 udp 1 10.0.0.1 4 typ  relay", .relay),
        ])
    func kind(text: String, kind: Candidate.Kind) {
        let candidate = Candidate(parsing: "candidate:" + text)
        #expect(candidate?.kind == kind)
        #expect(candidate?.address == .ip(address("10.0.0.1", 4)))
    }

    @Test(
        "a typ elsewhere than behind the port is none",
        arguments: [
            "typ relay 1 1 udp 1 10.0.0.1 4", "1 1 udp 1 10.0.0.1 4 ufrag x typ relay",
            "1 1 udp 1 10.0.0.1 typ relay 4",
            "1 1 udp 1 typ relay 4 typ relay", "1 1 udp 1 10.0.0.1 4 typ  typ relay", "typ relay",
        ])
    func noKind(text: String) {
        #expect(Candidate(parsing: "candidate:" + text) == nil)
    }

    @Test(
        "what is written is read back",
        arguments: [
            "candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",
            "candidate:2 1 udp 1694498815 203.0.113.5 40000 typ srflx raddr 192.0.2.1 rport 40000 ufrag u+/1",
            "candidate:3 1 tcp 1518280447 2001:db8::1 40000 typ host tcptype passive",
            "candidate:4 256 udp 0 0a.local 1 typ prflx",
            "candidate:5 1 udp 4294967295 198.51.100.1 65535 typ relay raddr 2001:db8::9 rport 1",
        ])
    func roundTrip(text: String) {
        #expect(Candidate(parsing: text)?.description == text)
    }

    @Test(
        "nonsense is refused",
        arguments: [
            "", "candidate:", "candidate:1 1 udp 1 192.0.2.1 40000 typ", "candidate:1 1 udp 1 192.0.2.1 40000 host typ",
            "candidate:1 0 udp 1 192.0.2.1 40000 typ host", "candidate:1 257 udp 1 192.0.2.1 40000 typ host",
            "candidate:1 1 sctp 1 192.0.2.1 40000 typ host", "candidate:1 1 udp 4294967296 192.0.2.1 40000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 65536 typ host", "candidate:1 1 udp 1 192.0.2.1 -1 typ host",
            "candidate:1 1 udp 1 192.0.2.1 40000 typ ghost", "candidate:1 1 udp 1 fe80::1%eth0 40000 typ host",
            "candidate:1 1 udp 1 a_b 40000 typ host", "candidate:1\r\n1 udp 1 192.0.2.1 40000 typ host",
            "candidate:\u{7}1 1 udp 1 192.0.2.1 40000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 40000 typ host " + String(repeating: "x", count: 1024),
        ])
    func nonsense(text: String) {
        #expect(Candidate(parsing: text) == nil)
    }

    @Test("10 000 mutated candidates do not trap", arguments: [0x5eed_0003 as UInt64])
    func mutated(seed: UInt64) {
        var generator = Seeded(seed)
        let original = Array(
            "candidate:8421 1 udp 1677729535 203.0.113.1 50000 typ srflx raddr ::1 rport 4 ufrag a".utf8)
        var read = 0
        for _ in 0..<10_000 {
            var text = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<text.count, using: &generator)
                text[index] = UInt8.random(in: 0...255, using: &generator)
            }
            guard let candidate = Candidate(parsing: String(decoding: text, as: UTF8.self)) else { continue }
            read += 1
            #expect(Candidate(parsing: candidate.description) == candidate, "seed \(seed)")
        }
        #expect(read > 1000)
    }

    @Test("local candidates get RFC 8445 §5.1.2.1 priorities and one foundation a base")
    func local() {
        var agent = makeAgent(role: .controlled)
        agent.addLocalCandidate(address: address("192.0.2.1", 40000), path: 0)
        agent.addLocalCandidate(address: address("192.0.2.1", 40001), path: 1)
        agent.addLocalCandidate(address: address("2001:db8::1", 40000), path: 2)
        agent.addLocalCandidate(
            address: address("203.0.113.1", 9999), path: 0, kind: .srflx, relatedAddress: address("192.0.2.1", 40000))
        #expect(
            agent.localCandidates.map(\.description) == [
                "candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",
                "candidate:1 1 udp 2130706175 192.0.2.1 40001 typ host",
                "candidate:3 1 udp 2130705919 2001:db8::1 40000 typ host",
                "candidate:4 1 udp 1694498047 203.0.113.1 9999 typ srflx raddr 192.0.2.1 rport 40000",
            ])
    }

    @Test("random credentials are as long and as varied as RFC 8445 §5.3 asks")
    func credentials() {
        var random = RandomSource.seeded(1)
        let all = (0..<100).map { _ in Credentials.random(&random) }
        #expect(Set(all.map(\.ufrag)).count == 100)
        #expect(all.allSatisfy { $0.ufrag.utf8.count == 8 && $0.password.utf8.count == 24 })
        #expect(all.allSatisfy { ($0.ufrag + $0.password).utf8.allSatisfy { $0 > 0x20 && $0 != 0x3a && $0 < 0x7f } })
    }
}
