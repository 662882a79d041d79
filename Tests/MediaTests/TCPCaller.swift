import Audio
import DTLS
import Glibc
import ICE
import Media
import TestSupport
import WebRTC
import Wire

/// A TCP connection on loopback that never blocks.
final class TestStream {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    private var received: [UInt8] = []

    init(to port: UInt16) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        unsafe withUnsafePointer(to: &address) {
            _ = unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    deinit {
        close(descriptor)
    }

    func send(_ bytes: [UInt8]) {
        _ = unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// A message behind its length (RFC 4571 §2).
    func send(framed message: [UInt8]) {
        send([UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message)
    }

    /// What came; nil when the other side has closed.
    func read() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count == 0 || count < 0 && errno != EAGAIN { return nil }
        return Array(buffer.prefix(max(0, count)))
    }

    /// The whole messages that came.
    func receive() -> [[UInt8]] {
        received += read() ?? []
        var messages: [[UInt8]] = []
        while received.count >= 2, received.count >= 2 + Int(received[0]) << 8 + Int(received[1]) {
            let length = Int(received[0]) << 8 + Int(received[1])
            messages.append(Array(received[2..<2 + length]))
            received.removeFirst(2 + length)
        }
        return messages
    }
}

/// A caller whose UDP is blocked: everything it says goes over one TCP connection.
final class TCPCaller {
    let input = PCMInputQueue(frameSize: 320, capacity: 500)
    let output = PlayoutQueue(rate: 16_000)
    let peer: PeerConnection
    private let batch = DatagramBatch(capacity: 64)
    private(set) var events: [PeerConnection.Event] = []
    private var stream: TestStream?
    private var server = loopback
    private var awaitsCheck = false

    init(seed: UInt64) throws {
        peer = PeerConnection(
            PeerConnection.Configuration(
                role: .offering, certificate: try Certificate(),
                candidates: [.init(loopback.with(port: 50_000), path: 0)], tag: UInt32(seed),
                randomness: .seeded(seed), ntpOrigin: 0, dialRules: DialRules(allowsLoopback: true), input: input,
                output: output),
            batch: batch, now: .now())
    }

    var isConnected: Bool { events.contains(.connected) }

    /// Takes the answer, but for its UDP candidates: the TCP one stands for them all.
    func accept(answer: String) throws {
        let lines = answer.split(separator: "\r\n")
        let candidates = lines.filter { $0.hasPrefix("a=candidate:") }.compactMap { Candidate(parsing: String($0)) }
        guard let passive = candidates.first(where: { $0.tcpType == .passive }),
            case .ip(let address) = passive.address
        else { return }
        server = address
        stream = TestStream(to: address.port)
        let rest = lines.filter { !$0.hasPrefix("a=candidate:") }.map { $0 + "\r\n" }.joined()
        try peer.accept(answer: rest, now: .now())
        peer.addRemoteCandidate("candidate:1 1 udp 1 \(address.host) \(address.port) typ host", now: .now())
    }

    /// Connects anew, as a browser does whose connection broke: a check comes first there.
    func reconnect() {
        stream = TestStream(to: server.port)
        awaitsCheck = true
    }

    /// Does what there is to do.
    func step() {
        let now = MonotonicTime.now()
        for var message in stream?.receive() ?? [] {
            var span = message.mutableSpan
            _ = peer.receive(&span, path: 0, from: server, now: now)
        }
        if let due = peer.deadline, due <= now { peer.handleTimeout(now: now) }
        for entry in batch.entries {
            let bytes = batch.bytes(of: entry)
            awaitsCheck = awaitsCheck && bytes[0] > 3
            if !awaitsCheck { stream?.send(framed: bytes) }
        }
        batch.removeAll()
        while let event = peer.poll() { events.append(event) }
    }
}
