import Audio
import CPacketPath
import DTLS
import ICE
import TestSupport
import WebRTC
import Wire

/// A peer connection, driven as a media loop does and counted.
final class MemoryPeer {
    let address: SocketAddress
    let peer: PeerConnection
    let output = PlayoutQueue(rate: 16_000)
    private let batch = DatagramBatch(capacity: 64)
    private let input = PCMInputQueue(frameSize: 320)
    private(set) var isConnected = false
    private(set) var deadline: MonotonicTime?

    init(_ role: PeerConnection.Configuration.Role, at address: SocketAddress, seed: UInt64, certificate: Certificate) {
        self.address = address
        peer = PeerConnection(
            PeerConnection.Configuration(
                role: role, certificate: certificate, candidates: [.init(address, path: 0)],
                tag: UInt32(truncatingIfNeeded: seed),
                randomness: .seeded(seed), ntpOrigin: 0xe000_0000_0000_0000, dialRules: DialRules(), input: input,
                output: output),
            batch: batch, now: .zero)
    }

    func receive(_ datagram: inout [UInt8], from source: SocketAddress, now: MonotonicTime) {
        let kind = kind(of: datagram.span, outgoing: false)
        var span = datagram.mutableSpan
        counter_begin()
        _ = peer.receive(&span, path: 0, from: source, now: now)
        settle()
        counter_stop()
        let answer = sent()
        counter_add(answer.packets == 0 ? kind : later(kind, answer.kind), 1)
    }

    func handleTimeout(now: MonotonicTime) {
        counter_begin()
        peer.handleTimeout(now: now)
        settle()
        counter_stop()
        let (kind, packets) = sent()
        counter_add(kind, packets)
    }

    /// After signaling: not counted.
    func settle() {
        while let event = peer.poll() {
            if event == .connected { isConnected = true }
        }
        deadline = peer.deadline
    }

    func takeDatagrams() -> [[UInt8]] {
        defer { batch.removeAll() }
        return batch.entries.map { batch.bytes(of: $0) }
    }

    private func sent() -> (kind: counter_kind, packets: UInt64) {
        let kinds = batch.entries.map { kind(of: batch.bytes(of: $0).span, outgoing: true) }
        return (kinds.reduce(counter_rtp_out, later), UInt64(kinds.count))
    }

    private func later(_ left: counter_kind, _ right: counter_kind) -> counter_kind {
        left.rawValue < right.rawValue ? right : left
    }

    private func kind(of datagram: Span<UInt8>, outgoing: Bool) -> counter_kind {
        unsafe datagram.withUnsafeBufferPointer {
            unsafe counter_kind_of($0.baseAddress, UInt64($0.count), outgoing)
        }
    }
}
