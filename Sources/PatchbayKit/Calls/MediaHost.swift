import Media
import WebRTC

/// Where calls have their media: the engine's loops, or nowhere in a test of everything else.
protocol MediaHost: Sendable {
    /// Answers a first offer.
    func place(
        offer: String, _ settings: CallSettings, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void
    ) async throws -> (leg: any MediaLeg, answer: Answer)

    /// Calls that are alive.
    var load: Int { get }

    /// What has been sent and received.
    func counters() async -> MediaCounters
}

/// One peer connection, for who is not on its loop.
protocol MediaLeg: Sendable {
    /// Answers a later offer of the same peer.
    func answer(offer: String) async throws -> Answer
    /// Takes a trickled candidate; one that cannot be used is passed over.
    func addRemoteCandidate(_ text: String)
    /// The peer has no more candidates.
    func endOfRemoteCandidates()
    /// How it goes.
    func statistics() async throws -> CallStatistics
    /// Ends it; `.ended` follows.
    func close()
}

extension MediaCall: MediaLeg {}

extension MediaEngine: MediaHost {
    func place(
        offer: String, _ settings: CallSettings, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void
    ) async throws -> (leg: any MediaLeg, answer: Answer) {
        let (call, answer) = try await answer(offer: offer, settings, onEvent: onEvent)
        return (call, answer)
    }
}
