import Audio
import DTLS
import Testing
import WebRTC
import Wire

@Suite("Two peer connections find each other")
struct ConnectionTests {
    @Test("whichever way candidates travel", arguments: Call.Candidates.allCases)
    func candidates(_ candidates: Call.Candidates) throws {
        let call = Call(seed: 1)
        try call.signal(candidates)
        #expect(call.world.run(for: .seconds(5)) { call.isConnected })
    }

    @Test("and candidates that come when the path they name is long in use change nothing (pion/ice #913)")
    func lateCandidates() throws {
        let call = try Call.connected(seed: 12)
        for candidate in call.offerer.peer.localCandidates {
            call.answerer.add(candidate: candidate, now: call.world.now)
        }
        call.answerer.peer.endOfRemoteCandidates(now: call.world.now)
        call.world.run(for: .seconds(60))
        #expect(call.both.allSatisfy { $0.events.map(\.event) == [.connected] })
    }

    @Test("through a network address translator on the offering side", arguments: Call.Candidates.allCases)
    func translated(_ candidates: Call.Candidates) throws {
        let call = Call(seed: 2)
        call.world.translations[call.offerer.address] = address("203.0.113.9", 61_000)
        try call.signal(candidates)
        let isReachable = candidates != .onlyOfOfferer
        #expect(call.world.run(for: .seconds(5)) { call.isConnected } == isReachable)
    }

    @Test("again when a translator gives the offering side another address in mid-call", arguments: seeds(10))
    func rebound(_ seed: UInt64) async throws {
        let call = try Call.connected(seed: seed)
        call.world.translations[call.offerer.address] = address("203.0.113.77", 3333)
        // A consent check, at most 6 s apart, shows the new address.
        call.world.run(for: .milliseconds(6_500))
        let before = call.both.map(\.input.spoken)
        for endpoint in call.both { try await endpoint.output.play(Signal.tone(seconds: 1)) }
        call.world.run(for: .milliseconds(1_200))
        for (endpoint, before) in zip(call.both, before) {
            #expect(endpoint.input.spoken >= before + 48, "seed \(seed)")
            #expect(endpoint.end == nil)
        }
    }

    @Test("whoever opens the association", arguments: ["actpass", "active", "passive"])
    func setup(_ setup: String) throws {
        let call = Call(seed: 3)
        try call.signal { description, isOffer in
            if isOffer { description = description.replacingSetup(with: setup) }
        }
        #expect(call.world.run(for: .seconds(5)) { call.isConnected })
    }

    @Test("at a loss of 10 and 25 %", arguments: seeds(40))
    func loss(_ seed: UInt64) throws {
        let call = Call(seed: seed)
        call.world.impairment.loss = seed % 2 == 0 ? 0.1 : 0.25
        call.world.impairment.delay = 20...80
        try call.signal(Call.Candidates.allCases[Int(seed % 3)])
        #expect(call.world.run(for: .seconds(30)) { call.isConnected }, "seed \(seed)")
    }

    @Test("nearly always at a loss of 40 %, and else say why not")
    func heavyLoss() throws {
        var connected = 0
        let seeds = seeds(60)
        for seed in seeds {
            let call = Call(seed: seed)
            call.world.impairment.loss = 0.4
            try call.signal(.trickled)
            call.world.run(for: .seconds(70)) { call.isConnected || call.isOver }
            if call.isConnected {
                connected += 1
            } else {
                #expect(call.both.contains { $0.end != nil }, "seed \(seed)")
            }
        }
        #expect(connected * 10 >= seeds.count * 9, "\(connected) of \(seeds.count)")
    }

    @Test("on any network that a seed thinks of, or end with a reason", arguments: seeds(150))
    func anyNetwork(_ seed: UInt64) throws {
        let call = Call(seed: seed)
        call.world.impairment = .random(&call.world.generator)
        try call.signal(Call.Candidates.allCases[Int(seed % 3)])
        #expect(call.world.run(for: .seconds(62)) { call.isConnected || call.isOver }, "seed \(seed)")
        call.world.impairment = Impairment()
        call.offerer.close(now: call.world.now)
        #expect(call.world.run(for: .seconds(62)) { call.isOver }, "seed \(seed)")
    }

    @Test("not at all where nothing gets through: each ends at its connect timeout")
    func connectTimeout() throws {
        let call = Call(seed: 4, connectTimeout: .seconds(12))
        call.world.passes = { _ in false }
        try call.signal()
        call.world.run(for: .seconds(20))
        for endpoint in call.both {
            let end = try #require(endpoint.end)
            #expect(end.reason == .connectTimeout)
            #expect(end.at == .zero + .seconds(12))
        }
    }

    @Test("and give up when ICE does, 39.5 s after the credentials (RFC 8863)")
    func iceFailure() throws {
        let call = Call(seed: 5)
        call.world.passes = { _ in false }
        try call.signal()
        call.world.run(for: .seconds(60))
        for endpoint in call.both {
            let end = try #require(endpoint.end)
            #expect(end.reason == .iceFailed)
            #expect(end.at == .zero + .milliseconds(39_500))
        }
    }

    @Test("but not with a certificate that nobody vouched for, and no sound flows then", arguments: [true, false])
    func fingerprintMismatch(inOffer: Bool) async throws {
        let call = Call(seed: 6)
        try call.signal { description, isOffer in
            if isOffer == inOffer { description = description.replacingFingerprint() }
        }
        try await call.offerer.output.play(Signal.tone(seconds: 1))
        try await call.answerer.output.play(Signal.tone(seconds: 1))
        call.world.run(for: .seconds(20))
        let (deceived, other) = inOffer ? (call.answerer, call.offerer) : (call.offerer, call.answerer)
        #expect(deceived.end?.reason == .fingerprintMismatch)
        #expect(!deceived.isConnected)
        #expect(other.end?.reason == .closedByPeer)
        for endpoint in call.both {
            #expect(endpoint.peer.currentStatistics().packetsReceived == 0)
            #expect(await endpoint.heard().soundingCount == 0)
        }
    }
}

extension String {
    func replacingSetup(with setup: String) -> String {
        replacingLines(startingWith: "a=setup:") { _ in "a=setup:" + setup }
    }

    /// Another certificate's.
    func replacingFingerprint() -> String {
        let bytes = otherCertificate.sha256Fingerprint.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        return replacingLines(startingWith: "a=fingerprint:") { _ in
            "a=fingerprint:sha-256 " + bytes.joined(separator: ":")
        }
    }

    func replacingDirection(with direction: String) -> String {
        replacingLines(startingWith: "a=sendrecv") { _ in "a=" + direction }
    }

    private func replacingLines(startingWith prefix: String, _ replacement: (Substring) -> String) -> String {
        split(separator: "\r\n").map { ($0.hasPrefix(prefix) ? replacement($0) : String($0)) + "\r\n" }.joined()
    }
}
