import Audio
import TURN
import TestSupport
import WebRTC
import Wire

/// A TURN server on the virtual network, with one client: it listens at its first address and relays at the second.
final class RelayServer: Node {
    let addresses = [Simulation.address("203.0.113.1", 3478), FakeTURNServer.relayed]
    let server = FakeTURNServer()
    private let client: SocketAddress
    private var outgoing: [Outgoing] = []

    init(client: SocketAddress) {
        self.client = client
    }

    var deadline: MonotonicTime? { nil }

    func receive(_ datagram: inout [UInt8], path: Int, from source: SocketAddress, now: MonotonicTime) {
        if path == 1 {
            guard let framed = server.relay(datagram, from: source, now: now) else { return }
            outgoing.append(Outgoing(bytes: framed, to: client))
        } else if source == client {
            if let answer = try? server.receive(datagram, now: now) {
                outgoing.append(Outgoing(bytes: answer, to: client))
            }
            for (peer, data) in server.takeRelayedData() {
                outgoing.append(Outgoing(bytes: data, path: 1, to: peer))
            }
        }
    }

    func handleTimeout(now: MonotonicTime) {}

    func takeDatagrams(now: MonotonicTime) -> [Outgoing] {
        defer { outgoing = [] }
        return outgoing
    }

    func faults(now: MonotonicTime) -> [String] { [] }
}

/// An endpoint that reaches others only through an allocation on a relay: its one address is the relayed one.
final class RelayedEndpoint: Node {
    let addresses = [Simulation.address("192.0.2.1", 40_000)]
    let endpoint: Endpoint
    private(set) var allocation: Allocation
    private let server: SocketAddress
    private(set) var ends: [Allocation.EndReason] = []
    private(set) var refusals = 0

    init(_ role: PeerConnection.Configuration.Role, server: SocketAddress, seed: UInt64, now: MonotonicTime) {
        self.server = server
        endpoint = Endpoint(
            role, at: [FakeTURNServer.relayed], seed: seed, hears: 100, decodes: false,
            encoder: EncoderSettings(complexity: 0), now: now)
        allocation = Allocation(
            .init(
                transport: .datagrams, username: "1700000000:me", password: "secret", family: .ipv4,
                transactionTag: 7, randomness: .seeded(seed)))
        allocation.allocate(now: now)
    }

    var deadline: MonotonicTime? { [endpoint.deadline, allocation.deadline].compactMap(\.self).min() }

    func receive(_ datagram: inout [UInt8], path: Int, from source: SocketAddress, now: MonotonicTime) {
        guard source == server, case .data(let range, let peer) = allocation.receive(datagram.span, now: now) else {
            return
        }
        var data = Array(datagram[range])
        endpoint.receive(&data, path: 0, from: peer, now: now)
    }

    func handleTimeout(now: MonotonicTime) {
        allocation.handleTimeout(now: now)
        if let deadline = endpoint.deadline, deadline <= now { endpoint.handleTimeout(now: now) }
    }

    func takeDatagrams(now: MonotonicTime) -> [Outgoing] {
        var outgoing: [Outgoing] = []
        for datagram in endpoint.takeDatagrams(now: now) {
            allocation.permit(datagram.to, now: now)
            allocation.bind(datagram.to, now: now)
            if let framed = frame(datagram, now: now) { outgoing.append(Outgoing(bytes: framed, to: server)) }
        }
        while let output = allocation.poll() {
            switch output {
            case .transmit(let bytes): outgoing.append(Outgoing(bytes: bytes, to: server))
            case .refused: refusals += 1
            case .ended(let reason): ends.append(reason)
            case .allocated, .permitted: break
            }
        }
        return outgoing
    }

    private func frame(_ datagram: Outgoing, now: MonotonicTime) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: ChannelData.headerLength) + datagram.bytes
        var span = buffer.mutableSpan
        if let count = allocation.frame(&span, count: datagram.bytes.count, to: datagram.to, now: now) {
            return Array(buffer.prefix(count))
        }
        return allocation.indication(datagram.bytes, to: datagram.to, now: now)
    }

    func faults(now: MonotonicTime) -> [String] { endpoint.faults(now: now) }
}
