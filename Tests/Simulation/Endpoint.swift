import Audio
import DTLS
import ICE
import RTP
import STUN
import TestSupport
import Testing
import Wire

@testable import WebRTC

/// A peer connection as its owner would drive it, watched.
final class Endpoint: Node {
    let addresses: [SocketAddress]
    let peer: PeerConnection
    let batch = DatagramBatch(capacity: 64)
    let input: PCMInputQueue
    let output = PlayoutQueue(rate: 16_000)
    private(set) var events: [(at: MonotonicTime, event: PeerConnection.Event)] = []
    private var watch = StatisticsWatch()
    private var transport: TransportWatch
    /// Whether it is a fault that what it hears does not keep time: it is driven all along, and its peer plays no tricks.
    var keepsTime = false
    /// What it says at the end is out.
    private var isSilenced = false
    private var pending: [String] = []

    /// - Parameter hears: how many frames are kept for the test; the default is more than any wants to hear.
    init(
        _ role: PeerConnection.Configuration.Role, at addresses: [SocketAddress], seed: UInt64,
        connectTimeout: Duration = .seconds(60), dialRules: DialRules = DialRules(), isLite: Bool = false,
        onlyRelays: Bool = false,
        hears: Int = 20_000, decodes: Bool = true, encoder: EncoderSettings = EncoderSettings(),
        now: MonotonicTime = .zero
    ) {
        self.addresses = addresses
        transport = TransportWatch(dialRules: dialRules)
        input = PCMInputQueue(frameSize: 320, capacity: hears)
        peer = PeerConnection(
            PeerConnection.Configuration(
                role: role, certificate: testCertificate,
                candidates: addresses.enumerated().map { .init($1, path: $0, kind: onlyRelays ? .relay : .host) },
                onlyRelays: onlyRelays,
                tag: UInt32(truncatingIfNeeded: seed), randomness: .seeded(seed), ntpOrigin: 0xe000_0000_0000_0000,
                dialRules: dialRules, isLite: isLite, input: input, output: output, decodes: decodes, encoder: encoder,
                connectTimeout: connectTimeout),
            batch: batch, now: now)
    }

    convenience init(
        _ role: PeerConnection.Configuration.Role, at address: SocketAddress, seed: UInt64,
        connectTimeout: Duration = .seconds(60), hears: Int = 20_000, encoder: EncoderSettings = EncoderSettings(),
        now: MonotonicTime = .zero
    ) {
        self.init(
            role, at: [address], seed: seed, connectTimeout: connectTimeout, hears: hears, encoder: encoder, now: now)
    }

    var deadline: MonotonicTime? { peer.deadline }

    func receive(_ datagram: inout [UInt8], path: Int, from source: SocketAddress, now: MonotonicTime) {
        let kind = STUNProbe(datagram.span)?.class
        let length = datagram.count
        var span = datagram.mutableSpan
        let reception = peer.receive(&span, path: path, from: source, now: now)
        transport.received(length, kind, Tuple(path: path, remote: source), reception, now: now)
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
        transport.note(address)
    }

    func close(now: MonotonicTime) {
        peer.close(now: now)
        collectEvents(now)
    }

    func takeDatagrams(now: MonotonicTime) -> [Outgoing] {
        let datagrams = batch.entries.map { entry in
            Outgoing(bytes: batch.bytes(of: entry), path: entry.path, to: entry.destination)
        }
        batch.removeAll()
        if isSilenced, !datagrams.isEmpty { pending.append("sends after the end") }
        isSilenced = peer.hasEnded
        for datagram in datagrams {
            let tuple = Tuple(path: datagram.path, remote: datagram.to)
            pending += transport.sent(datagram.bytes, tuple, by: peer, now: now)
        }
        return datagrams
    }

    func faults(now: MonotonicTime) -> [String] {
        collectEvents(now)
        if batch.dropped > 0 { pending.append("a step sends more than a batch") }
        let since = keepsTime ? events.first { $0.event == .connected }?.at : nil
        pending += watch.faults(of: peer, timedSince: since, now: now)
        pending += transport.faults(of: peer, now: now)
        defer { pending = [] }
        return pending.map { "\(address): \($0)" }
    }

    private func collectEvents(_ now: MonotonicTime) {
        while let event = peer.poll() {
            if !mayFollow(event) { pending.append("says \(event) after \(events.map(\.event))") }
            events.append((now, event))
        }
        if peer.hasEnded, peer.deadline != nil { pending.append("has a deadline after the end") }
    }

    /// Connected once, then lost and found in turns, and one end.
    private func mayFollow(_ event: PeerConnection.Event) -> Bool {
        guard end == nil else { return false }
        let last = events.last { event in
            switch event.event {
            case .keyPress, .localCandidate: false
            default: true
            }
        }?.event
        return switch event {
        case .connected: last == nil
        case .disconnected: last == .connected || last == .reconnected
        case .reconnected: last == .disconnected
        case .keyPress: last != nil
        case .ended: true
        case .localCandidate: true
        case .noRelay: last == nil
        }
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
