import Audio
import Testing
import WebRTC
import Wire

/// An offering and an answering peer connection, and the signaling between them.
struct Call {
    /// How each side learns of the other's candidates.
    enum Candidates: CaseIterable {
        /// Both by themselves, after the descriptions.
        case trickled
        /// The answer holds those of the answering side, and the offering side tells none.
        case onlyInAnswer
        /// The offering side tells its own, and learns the other's from its checks.
        case onlyOfOfferer
    }

    let world: World
    let offerer: Endpoint
    let answerer: Endpoint

    init(
        seed: UInt64, connectTimeout: Duration = .seconds(60), hears: Int = 20_000,
        encoder: EncoderSettings = EncoderSettings()
    ) {
        world = World(seed: seed)
        offerer = Endpoint(
            .offering, at: address("198.51.100.2", 50_000), seed: seed &* 2, connectTimeout: connectTimeout,
            hears: hears, encoder: encoder)
        answerer = Endpoint(
            .answering, at: address("192.0.2.1", 40_000), seed: seed &* 2 &+ 1, connectTimeout: connectTimeout,
            hears: hears, encoder: encoder)
        world.nodes = [offerer, answerer]
    }

    var both: [Endpoint] { [offerer, answerer] }

    /// Exchanges descriptions and candidates; `edit` may change the descriptions on their way.
    func signal(
        _ candidates: Candidates = .onlyInAnswer, edit: (inout String, _ isOffer: Bool) -> Void = { _, _ in }
    ) throws {
        var offer = try offerer.peer.makeOffer()
        edit(&offer, true)
        var answer = try answerer.peer.answer(offer: offer, now: world.now)
        edit(&answer, false)
        let lines = answer.split(separator: "\r\n")
        let named = lines.filter { $0.hasPrefix("a=candidate:") }.map { String($0.dropFirst(2)) }
        if candidates != .onlyInAnswer {
            answer = lines.filter { !$0.hasPrefix("a=candidate:") }.map { $0 + "\r\n" }.joined()
        }
        for candidate in named where candidates != .onlyOfOfferer { offerer.note(candidate) }
        try offerer.peer.accept(answer: answer, now: world.now)
        if candidates != .onlyInAnswer {
            for candidate in offerer.peer.localCandidates { answerer.add(candidate: candidate, now: world.now) }
        }
        if candidates == .trickled {
            world.run(for: .milliseconds(100))
            for candidate in named { offerer.add(candidate: candidate, now: world.now) }
        }
        for endpoint in both { world.settle(endpoint) }
    }

    var isConnected: Bool { both.allSatisfy(\.isConnected) }
    var isOver: Bool { both.allSatisfy { $0.end != nil } }

    /// A call that is up.
    static func connected(seed: UInt64) throws -> Call {
        let call = Call(seed: seed)
        try call.signal()
        try #require(call.world.run(for: .seconds(5)) { call.isConnected }, "seed \(seed) does not connect")
        return call
    }
}
