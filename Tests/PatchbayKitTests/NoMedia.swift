import Synchronization
import WebRTC

@testable import Media
@testable import PatchbayKit

/// Calls without sound or network: an offer that starts with "bad" is not answered, anything else is.
final class NoMedia: MediaHost {
    private let live = Mutex(0)
    /// The candidates that reached a peer connection.
    let candidates = Mutex<[String]>([])
    /// How every call of it goes; nil while it does not answer.
    let statistics = Mutex<CallStatistics?>(CallStatistics())

    var load: Int { live.withLock { $0 } }

    func counters() async -> MediaCounters { MediaCounters() }

    func place(
        offer: String, _ settings: CallSettings, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void
    ) async throws -> (leg: any MediaLeg, answer: Answer) {
        let answer = try Self.answer(offer)
        live.withLock { $0 += 1 }
        return (Leg(host: self, onEvent: onEvent), answer)
    }

    static func answer(_ offer: String) throws -> Answer {
        if offer.hasPrefix("bad") { throw CallerError("it is bad") }
        return Answer(sdp: "answer to " + offer)
    }

    /// A peer connection that does nothing, until it is closed.
    final class Leg: MediaLeg {
        private let host: NoMedia
        /// For a test to say what happens to it.
        let onEvent: @Sendable (PeerConnection.Event) -> Void
        private let isOpen = Mutex(true)

        init(host: NoMedia, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void) {
            self.host = host
            self.onEvent = onEvent
        }

        func answer(offer: String) async throws -> Answer { try NoMedia.answer(offer) }
        func addRemoteCandidate(_ text: String) { host.candidates.withLock { $0.append(text) } }
        func endOfRemoteCandidates() {}
        /// Does not notice that nobody waits any more, as a loop that is stuck would not.
        func statistics() async throws -> CallStatistics {
            guard isOpen.withLock({ $0 }) else { throw PeerConnectionError.ended }
            if let statistics = host.statistics.withLock({ $0 }) { return statistics }
            await Task.detached { try? await Task.sleep(for: .seconds(20)) }.value
            throw PeerConnectionError.ended
        }

        func close() {
            let closes = isOpen.withLock { open in
                defer { open = false }
                return open
            }
            guard closes else { return }
            host.live.withLock { $0 -= 1 }
            onEvent(.ended(.closed, CallStatistics()))
        }
    }
}
