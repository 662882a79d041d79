import Audio
import CPacketPath
import DTLS
import WebRTC
import Wire

/// Two peers in virtual time on one thread, speaking both ways over a network that gets worse.
struct MemoryCall {
    /// To warm up: what grows when a packet first comes before its turn has grown then.
    private static let firstImpairment = Network.Impairment(loss: 0.1, duplication: 0.02, delay: 10, spread: 90)
    private static let impairments: [Network.Impairment] = [
        .init(),
        .init(delay: 20, spread: 40),
        .init(loss: 0.05, duplication: 0.05, delay: 10, spread: 30),
        .init(loss: 0.2, delay: 40, spread: 10),
        .init(loss: 0.01, burst: 0.02, duplication: 0.02, delay: 10, spread: 60),
    ]
    /// What a playout queue holds.
    private static let secondsEach = 28

    private let peers: [MemoryPeer]
    private var network = Network()
    private var now = MonotonicTime.zero

    /// Fails when the peers do not connect.
    static func measure() async throws {
        var call = try MemoryCall()
        try await call.run()
    }

    private init() throws {
        let certificate = try Certificate()
        peers = [
            MemoryPeer(
                .offering, at: SocketAddress(ipv4: 0xc633_6402, port: 50_000), seed: 2, certificate: certificate),
            MemoryPeer(
                .answering, at: SocketAddress(ipv4: 0xc000_0201, port: 40_000), seed: 3, certificate: certificate),
        ]
        let offer = try peers[0].peer.makeOffer()
        let answer = try peers[1].peer.answer(offer: offer, now: now)
        try peers[0].peer.accept(answer: answer, now: now)
        for peer in peers { peer.settle() }
    }

    private mutating func run() async throws {
        run(for: .seconds(5))
        guard peers.allSatisfy(\.isConnected) else { throw Fault.notConnected }
        for _ in 0..<3 { try await speak(over: Self.firstImpairment) }
        counter_reset()
        for impairment in Self.impairments { try await speak(over: impairment) }
    }

    private mutating func speak(over impairment: Network.Impairment) async throws {
        network.impairment = impairment
        for (seed, peer) in peers.enumerated() {
            try await peer.output.play(speech(seconds: Self.secondsEach, seed: UInt64(seed)))
        }
        run(for: .seconds(Self.secondsEach + 1))
    }

    private mutating func run(for duration: Duration) {
        let end = now + duration
        for peer in peers { send(peer) }
        while let next = ([network.next] + peers.map(\.deadline)).compactMap(\.self).min(), next <= end {
            now = max(now, next)
            while var datagram = network.take(by: now) {
                guard let peer = peers.first(where: { $0.address == datagram.destination }),
                    let other = peers.first(where: { $0 !== peer })
                else { continue }
                peer.receive(&datagram.bytes, from: other.address, now: now)
                send(peer)
            }
            for peer in peers where peer.deadline.map({ $0 <= now }) ?? false {
                peer.handleTimeout(now: now)
                send(peer)
            }
        }
        now = end
    }

    private mutating func send(_ peer: MemoryPeer) {
        guard let other = peers.first(where: { $0 !== peer }) else { return }
        for bytes in peer.takeDatagrams() { network.send(bytes, to: other.address, now: now) }
    }
}

enum Fault: Error {
    case notConnected
}
