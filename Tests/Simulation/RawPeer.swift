import Audio
import DTLS
import ICE
import RTP
import SDP
import SRTP
import TestSupport
import Testing
import WebRTC
import Wire

/// An offering peer that has the keys and sends whatever a test likes: ICE, DTLS and SRTP without the rest.
final class RawPeer: Node {
    let addresses = [Simulation.address("198.51.100.7", 51_000)]
    private var agent: Agent
    private let dtls: Connection
    private var outbound: SRTPSession?
    private var inbound: SRTPSession?
    private var outgoing: [Outgoing] = []
    /// Headers of the RTP that came.
    private(set) var received: [RTPHeader] = []
    private(set) var reports: [RTCPPacket] = []
    private(set) var isClosed = false

    /// Of the next packet.
    var sequenceNumber: UInt16 = 1000
    var timestamp: UInt32 = 5000
    var ssrc: UInt32 = 0x1111
    /// A second of a tone, in packets, and the next of them.
    let voice: [[UInt8]]
    var voiceIndex = 0

    init(seed: UInt64, now: MonotonicTime = .zero) throws {
        var random = RandomSource.seeded(seed)
        agent = Agent(
            Agent.Configuration(
                role: .controlling, credentials: .random(&random), tieBreaker: 9, transactionTag: 0x7777_7777,
                randomness: random, mayDial: DialRules()),
            now: now)
        agent.addLocalCandidate(address: addresses[0], path: 0)
        dtls = try Connection(certificate: testCertificate, role: .server, now: now)
        voice = try Self.encode(Signal.tone(seconds: 1, rate: 48_000))
    }

    private static func encode(_ samples: [Int16]) throws -> [[UInt8]] {
        var encoder = try OpusEncoder()
        var packet = [UInt8](repeating: 0, count: 1500)
        return try stride(from: 0, to: samples.count, by: 960).map { start in
            let frame = Array(samples[start..<start + 960])
            var span = packet.mutableSpan
            let count = try encoder.encode(frame.span, into: &span)
            return Array(packet.prefix(count))
        }
    }

    /// Opus with redundancy, as browsers number it.
    static let red: UInt8 = 63

    func offer() -> String {
        let credentials = agent.localCredentials
        return LocalOffer.make(
            LocalParameters(
                sessionID: 1, iceUfrag: credentials.ufrag, icePassword: credentials.password,
                fingerprint: Fingerprint(algorithm: .sha256, bytes: testCertificate.sha256Fingerprint), ssrc: ssrc,
                cname: "raw")
        ).replacing(" 111 ", with: " 111 63 ", maxReplacements: 1)
            .replacing(
                "a=rtpmap:111 ", with: "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:111 ",
                maxReplacements: 1)
    }

    func accept(answer: String, now: MonotonicTime) throws {
        // An offer of ours has no redundancy.
        let lines = answer.split(separator: "\r\n").filter { !$0.contains(":63 ") }
        let plain = lines.map { ($0.hasPrefix("m=") ? String($0).replacing(" 63", with: "") : String($0)) + "\r\n" }
            .joined()
        let remote = try LocalOffer.accept(answer: plain)
        agent.setRemoteCredentials(Credentials(ufrag: remote.iceUfrag, password: remote.icePassword), now: now)
        for text in remote.candidates {
            _ = agent.addRemoteCandidate(try #require(Candidate(parsing: text)), now: now)
        }
    }

    // MARK: - Node

    var deadline: MonotonicTime? { [agent.deadline, dtls.deadline].compactMap(\.self).min() }

    func receive(_ datagram: inout [UInt8], path: Int, from source: SocketAddress, now: MonotonicTime) {
        switch PacketKind(datagram.span) {
        case .stun: _ = agent.receive(datagram.span, path: 0, from: source, now: now)
        case .dtls: dtls.receive(datagram.span, now: now)
        case .rtp, .rtcp: read(&datagram)
        case .channelData, .unknown: break
        }
    }

    private func read(_ datagram: inout [UInt8]) {
        let isRTCP = PacketKind(datagram.span) == .rtcp
        var span = datagram.mutableSpan
        let length =
            isRTCP
            ? try? inbound?.unprotectRTCP(&span, count: span.count) : try? inbound?.unprotect(&span, count: span.count)
        guard let length else { return }
        let plain = datagram.span.extracting(first: length)
        if isRTCP {
            reports += (try? RTCPPacket.parse(compound: plain)) ?? []
        } else if let header = try? RTPHeader(parsing: plain) {
            received.append(header)
        }
    }

    func handleTimeout(now: MonotonicTime) {
        agent.handleTimeout(now: now)
        dtls.handleTimeout(now: now)
    }

    func takeDatagrams(now: MonotonicTime) -> [Outgoing] {
        while let output = agent.poll() {
            if case .transmit(let bytes, _, let to) = output { outgoing.append(Outgoing(bytes: bytes, to: to)) }
        }
        while let output = dtls.poll() {
            switch output {
            case .transmit(let bytes):
                if let to = agent.selected?.remote { outgoing.append(Outgoing(bytes: bytes, to: to)) }
            case .connected(let material):
                guard let profile = SRTPProfile(rawValue: material.profile) else { continue }
                outbound = try? SRTPSession(profile: profile, keyAndSalt: material.server, direction: .outbound)
                inbound = try? SRTPSession(profile: profile, keyAndSalt: material.client, direction: .inbound)
            case .closed, .failed:
                isClosed = true
            }
        }
        defer { outgoing = [] }
        return outgoing
    }

    func faults(now: MonotonicTime) -> [String] { [] }

    var isConnected: Bool { outbound != nil }

    // MARK: - What a test sends

    func send(payload: [UInt8], payloadType: UInt8 = 111, ssrc: UInt32? = nil) {
        var packet: [UInt8] = []
        RTPHeader.write(
            marker: false, payloadType: payloadType, sequenceNumber: sequenceNumber, timestamp: timestamp,
            ssrc: ssrc ?? self.ssrc, into: &packet)
        sequenceNumber &+= 1
        send(rtp: packet + payload)
    }

    /// Protects and sends any RTP packet.
    func send(rtp packet: [UInt8]) {
        transmit(packet) { try outbound?.protect(&$0, count: packet.count) }
    }

    func send(rtcp packet: [UInt8]) {
        transmit(packet) { try outbound?.protectRTCP(&$0, count: packet.count) }
    }

    private func transmit(_ packet: [UInt8], _ protect: (inout MutableSpan<UInt8>) throws -> Int?) {
        guard let to = agent.selected?.remote else { return }
        var buffer = packet + [UInt8](repeating: 0, count: SRTPSession.tailRoom)
        var span = buffer.mutableSpan
        guard let length = try? protect(&span) else { return }
        outgoing.append(Outgoing(bytes: Array(buffer.prefix(length)), to: to))
    }
}

/// A call between a `RawPeer` and the gateway's side.
struct RawCall {
    let world: World
    let raw: RawPeer
    let endpoint: Endpoint
    let start: MonotonicTime

    init(seed: UInt64, dialRules: DialRules = DialRules()) throws {
        world = World(seed: seed)
        raw = try RawPeer(seed: seed &+ 77)
        endpoint = Endpoint(.answering, at: address("192.0.2.1", 40_000), seed: seed)
        world.nodes = [raw, endpoint]
        let answer = try endpoint.peer.answer(offer: raw.offer(), now: world.now)
        try raw.accept(answer: answer, now: world.now)
        let (raw, endpoint) = (raw, endpoint)
        try #require(world.run(for: .seconds(5)) { endpoint.isConnected && raw.isConnected })
        start = endpoint.events.first?.at ?? world.now
    }

    /// Calls `body` every `interval`, as a sender with a clock does.
    func every(_ interval: Duration = .milliseconds(20), times: Int, _ body: (Int) -> Void) {
        for number in 0..<times {
            body(number)
            world.settle(raw)
            world.run(for: interval)
        }
    }

    var statistics: CallStatistics { endpoint.peer.currentStatistics() }

    /// How long the call has been up.
    var elapsed: Duration { world.now - start }
}
