import Audio
import RTP
import STUN
import TURN
import TestSupport
import Testing
import WebRTC
import Wire

@Suite("A call through a TURN server")
struct RelayedCallTests {
    /// RFC 8656 §9, §12: a permission lives for 300 s and a channel for 600, an allocation as long as the server says.
    @Test("of two hours, with a new nonce every 10 minutes and 5 % loss: no second without media, and consent stays")
    func twoHours() async throws {
        let world = World(seed: 1)
        let relay = RelayServer(client: address("192.0.2.1", 40_000))
        let gateway = RelayedEndpoint(.answering, server: relay.address, seed: 3, now: world.now)
        let caller = Endpoint(
            .offering, at: [address("198.51.100.2", 50_000)], seed: 2, hears: 100, decodes: false,
            encoder: EncoderSettings(complexity: 0)
        )
        world.nodes = [relay, gateway, caller]
        world.impairment.loss = 0.05
        world.impairment.delay = 10...30
        // Of each side, as it is sent: in which seconds, and how much went by channel, with 4 bytes more and not 36.
        var seconds: [SocketAddress: Set<Int64>] = [:]
        var framed = 0
        world.observe = { datagram in
            let isFramed = datagram.from == gateway.address
            let data = isFramed ? Array(datagram.bytes.dropFirst(4)) : datagram.bytes
            guard PacketKind(data.span) == .rtp else { return }
            seconds[datagram.from, default: []].insert(datagram.at.nanoseconds / 1_000_000_000)
            if isFramed { framed += 1 }
        }
        try #require(world.run(for: .seconds(2)) { gateway.allocation.state == .allocated })

        let answer = try gateway.endpoint.peer.answer(offer: caller.peer.makeOffer(), now: world.now)
        for line in answer.split(separator: "\r\n") where line.hasPrefix("a=candidate:") {
            caller.note(String(line.dropFirst(2)))
        }
        try caller.peer.accept(answer: answer, now: world.now)
        for candidate in caller.peer.localCandidates { gateway.endpoint.add(candidate: candidate, now: world.now) }
        try #require(world.run(for: .seconds(5)) { caller.isConnected && gateway.endpoint.isConnected })

        let both = [caller, gateway.endpoint]
        let start = world.now.nanoseconds / 1_000_000_000 + 1
        world.run(for: .seconds(start) - (world.now - .zero))
        let dropped = relay.server.dropped
        let voice = Signal.tone(seconds: 0.02)
        for second in 0..<7_200 where !world.hasFailed {
            if second % 600 == 599 { relay.server.rotate() }
            for endpoint in both { try await endpoint.output.clearAndPlay(voice) }
            world.run(for: .seconds(1))
        }
        // Both spoke in every second, and whatever arrived at the relay was let through.
        let wanted = Set(start..<start + 7_200)
        #expect(seconds[caller.address]?.isSuperset(of: wanted) ?? false)
        #expect(seconds[gateway.address]?.isSuperset(of: wanted) ?? false)
        #expect(relay.server.dropped == dropped)
        #expect(framed == gateway.endpoint.peer.currentStatistics().packetsSent)
        for endpoint in both { #expect(endpoint.peer.currentStatistics().packetsReceived > 7_200 * 8 / 10) }
        #expect(both.allSatisfy { $0.events.map(\.event) == [.connected] })
        #expect(gateway.ends.isEmpty && gateway.refusals == 0)
        // Every nonce was asked for, and what it was for was asked again.
        let nonces = Set(relay.server.requests.compactMap(\.nonce))
        #expect(nonces.count == 12, "the last one has just come")
        world.impairment.loss = 0
        caller.close(now: world.now)
        world.run(for: .seconds(1))
        #expect(gateway.endpoint.end?.reason == .closedByPeer)
    }
}
