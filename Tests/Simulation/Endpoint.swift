import Audio
import DTLS
import ICE
import RTP
import STUN
import TestSupport
import Testing
import WebRTC
import Wire

/// A peer connection as its owner would drive it, watched.
final class Endpoint: Node {
    let address: SocketAddress
    let peer: PeerConnection
    let batch = DatagramBatch(capacity: 64)
    let input: PCMInputQueue
    let output = PlayoutQueue(rate: 16_000)
    private(set) var events: [(at: MonotonicTime, event: PeerConnection.Event)] = []
    private var watch = StatisticsWatch()
    /// Whether it is a fault that what it hears does not keep time: it is driven all along, and its peer plays no tricks.
    var keepsTime = false
    private var authenticated: Set<SocketAddress> = []
    private var signalled: Set<SocketAddress> = []
    private var exchanged: [SocketAddress: (received: Int, sent: Int)] = [:]
    /// What it says at the end is out.
    private var isSilenced = false
    private var pending: [String] = []

    /// - Parameter hears: how many frames are kept for the test; the default is more than any wants to hear.
    init(
        _ role: PeerConnection.Configuration.Role, at address: SocketAddress, seed: UInt64,
        connectTimeout: Duration = .seconds(60), dialRules: DialRules = DialRules(), hears: Int = 20_000,
        encoder: EncoderSettings = EncoderSettings(), now: MonotonicTime = .zero
    ) {
        self.address = address
        input = PCMInputQueue(frameSize: 320, capacity: hears)
        peer = PeerConnection(
            PeerConnection.Configuration(
                role: role, certificate: testCertificate, candidates: [.init(address, path: 0)], tag: UInt32(truncatingIfNeeded: seed),
                randomness: .seeded(seed), ntpOrigin: 0xe000_0000_0000_0000, dialRules: dialRules, input: input,
                output: output, encoder: encoder, connectTimeout: connectTimeout),
            batch: batch, now: now)
    }

    var deadline: MonotonicTime? { peer.deadline }

    func receive(_ datagram: inout [UInt8], from source: SocketAddress, now: MonotonicTime) {
        exchanged[source, default: (0, 0)].received += datagram.count
        var span = datagram.mutableSpan
        if case .authenticated(let displaced) = peer.receive(&span, path: 0, from: source, now: now) {
            authenticated.insert(source)
            if let displaced { authenticated.remove(displaced.remote) }
        }
        collectEvents(now)
    }

    func handleTimeout(now: MonotonicTime) {
        peer.handleTimeout(now: now)
        collectEvents(now)
    }

    /// Tells it of a candidate, as signaling does.
    func add(candidate: String, now: MonotonicTime) {
        note(candidate)
        peer.addRemoteCandidate(candidate, now: now)
        collectEvents(now)
    }

    func note(_ candidate: String) {
        guard case .ip(let address)? = Candidate(parsing: candidate)?.address else { return }
        signalled.insert(address)
    }

    func close(now: MonotonicTime) {
        peer.close(now: now)
        collectEvents(now)
    }

    func takeDatagrams() -> [(bytes: [UInt8], to: SocketAddress)] {
        let datagrams = batch.entries.map { (bytes: batch.bytes(of: $0), to: $0.destination) }
        batch.removeAll()
        if isSilenced, !datagrams.isEmpty { pending.append("\(address) sends after the end") }
        isSilenced = peer.hasEnded
        for datagram in datagrams { check(datagram.bytes, to: datagram.to) }
        return datagrams
    }

    func faults(now: MonotonicTime) -> [String] {
        collectEvents(now)
        if batch.dropped > 0 { pending.append("\(address): a step sends more than a batch") }
        let since = keepsTime ? events.first { $0.event == .connected }?.at : nil
        pending += watch.faults(of: peer, timedSince: since, now: now).map { "\(address): \($0)" }
        defer { pending = [] }
        return pending
    }

    private func check(_ bytes: [UInt8], to remote: SocketAddress) {
        if !authenticated.contains(remote) {
            let isCheck = STUNProbe(bytes.span)?.class == .request
            if isCheck {
                if !signalled.contains(remote) {
                    pending.append("\(address) sends a check to \(remote), which nobody named")
                }
            } else {
                let (received, sent) = exchanged[remote] ?? (0, 0)
                if sent + bytes.count > received {
                    pending.append("\(address) answers \(remote) with more than it sent")
                }
            }
        }
        exchanged[remote, default: (0, 0)].sent += bytes.count
        guard [.rtp, .rtcp].contains(PacketKind(bytes.span)) else { return }
        for other in authenticated where other != remote && peer.isInUse(Tuple(path: 0, remote: other)) {
            pending.append("\(address) sends media to \(remote), and \(other) is selected")
        }
    }

    private func collectEvents(_ now: MonotonicTime) {
        while let event = peer.poll() {
            if end != nil { pending.append("\(address) says \(event) after the end") }
            events.append((now, event))
        }
        if peer.hasEnded, peer.deadline != nil { pending.append("\(address) has a deadline after the end") }
    }

    // MARK: - What happened

    var isConnected: Bool { events.contains { $0.event == .connected } }

    var end: (at: MonotonicTime, reason: PeerConnection.EndReason)? {
        for (at, event) in events {
            if case .ended(let reason, _) = event { return (at, reason) }
        }
        return nil
    }

    var keys: String {
        String(events.compactMap { if case .keyPress(let key) = $0.event { key } else { nil } })
    }

    /// Ends the input and returns everything in it.
    func heard() async -> [PCMInputQueue.Frame] {
        input.finish()
        var frames: [PCMInputQueue.Frame] = []
        while let frame = await input.next() { frames.append(frame) }
        return frames
    }
}

/// Making one takes time, and the tests do not tell them apart.
let testCertificate: Certificate = {
    do { return try Certificate() } catch { fatalError("\(error)") }
}()
let otherCertificate: Certificate = {
    do { return try Certificate() } catch { fatalError("\(error)") }
}()
