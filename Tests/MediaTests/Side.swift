import Audio
import Media
import Synchronization
import Testing
import WebRTC
import Wire

let loopback = SocketAddress(ipv4: 0x7f00_0001, port: 0)

/// One side of a call between two engines.
final class Side: Sendable {
    let input = PCMInputQueue(frameSize: 320, capacity: 500)
    let output = PlayoutQueue(rate: 16_000)
    private let log = Mutex<[PeerConnection.Event]>([])

    var settings: CallSettings { CallSettings(inputRate: 16_000, outputRate: 16_000, input: input, output: output) }
    var events: [PeerConnection.Event] { log.withLock { $0 } }
    var isConnected: Bool { events.contains(.connected) }

    var end: PeerConnection.EndReason? {
        for event in events {
            if case .ended(let reason, _) = event { return reason }
        }
        return nil
    }

    /// Candidates that were told by themselves, and nil where it was said that there are no more.
    var trickled: [String?] {
        events.compactMap { event in
            if case .localCandidate(let candidate) = event { .some(candidate?.candidate) } else { nil }
        }
    }

    func note(_ event: PeerConnection.Event) {
        log.withLock { $0.append(event) }
    }

    /// Ends the input; how many of its frames were not silent.
    func soundingFrames() async -> Int {
        input.finish()
        var count = 0
        while let frame = await input.next() {
            if !frame.silent { count += 1 }
        }
        return count
    }
}

/// A call from one engine to another.
struct EngineCall: Sendable {
    let caller = Side()
    let callee = Side()
    let outgoing: MediaCall
    let incoming: MediaCall

    init(from offering: MediaEngine, to answering: MediaEngine) async throws {
        let (caller, callee) = (caller, callee)
        let offered = try await offering.offer(caller.settings) { caller.note($0) }
        let answered = try await answering.answer(offer: offered.offer, callee.settings) { callee.note($0) }
        (outgoing, incoming) = (offered.call, answered.call)
        try await outgoing.accept(answer: answered.answer.sdp)
        for candidate in try await outgoing.localCandidates() { incoming.addRemoteCandidate(candidate) }
    }

    var isConnected: Bool { caller.isConnected && callee.isConnected }
}

func makeEngine(loops: Int = 1, addresses: [SocketAddress] = [loopback]) throws -> MediaEngine {
    try MediaEngine(addresses: addresses, ports: nil, loops: loops)
}

/// Looks every 5 ms whether `condition` holds, for up to 20 s.
func eventually(
    _ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    for _ in 0..<4000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("it did not come to pass in 20 s", sourceLocation: sourceLocation)
}

func tone(milliseconds: Int) -> [Int16] {
    (0..<milliseconds * 16).map { Int16(($0 % 40 - 20) * 400) }
}
