import TestSupport
import Wire

/// What happens to one call of the matrix, as its seed has it.
struct Scenario {
    enum Event {
        case none
        /// The offering side's address is another from then on, as seen from elsewhere.
        case rebinding
        /// Nothing gets through, one way or both.
        case blackout(Duration, oneWay: Bool)
    }

    var candidates: Call.Candidates
    /// Of the network while there are faults, and whether they are there from the first datagram on.
    var impairment: Impairment
    var impairsSetup: Bool
    var isTranslated: Bool
    var event: Event
    /// Of speech each way while there are faults, in seconds.
    var speech: Double
    var offererCloses: Bool

    init(_ generator: inout Seeded) {
        candidates = Call.Candidates.allCases[Int.random(in: 0...2, using: &generator)]
        impairsSetup = Double.random(in: 0..<1, using: &generator) < 0.6
        impairment = Self.impairment(&generator)
        isTranslated = candidates != .onlyOfOfferer && Bool.random(using: &generator)
        offererCloses = Bool.random(using: &generator)
        switch Int.random(in: 0..<100, using: &generator) {
        case ..<60: event = .none
        case ..<75: event = .rebinding
        case ..<95:
            let length = Double.random(in: 1...4, using: &generator)
            event = .blackout(.seconds(length), oneWay: .random(using: &generator))
        // The long ones cost most.
        default:
            let length = Double.random(in: 4...25, using: &generator)
            event = .blackout(.seconds(length), oneWay: .random(using: &generator))
        }
        let isAboutSound = Int.random(in: 0..<8, using: &generator) == 0
        speech = .random(in: isAboutSound ? 2...4 : 0.2...0.5, using: &generator)
    }

    private static func impairment(_ generator: inout Seeded) -> Impairment {
        var impairment = Impairment()
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: break
        case 1: impairment.loss = .random(in: 0...0.6, using: &generator)
        case 2: impairment.loss = .random(in: 0...0.15, using: &generator)
        case 3...4:
            impairment.burstLength = .random(in: 1...10, using: &generator)
            // A share of up to 0.6 of all datagrams.
            let share = Double.random(in: 0...0.6, using: &generator)
            impairment.bursts = share / (impairment.burstLength * (1 - share))
        default:
            impairment.loss = .random(in: 0...0.3, using: &generator)
            impairment.bursts = .random(in: 0...0.02, using: &generator)
        }
        let shortest =
            Int.random(in: 0..<5, using: &generator) == 0
            ? Double.random(in: 150...1900, using: &generator) : .random(in: 1...150, using: &generator)
        let spread = Bool.random(using: &generator) ? Double.random(in: 0...100, using: &generator) : 0
        impairment.delay = shortest...shortest + spread
        if Bool.random(using: &generator) { impairment.duplication = .random(in: 0...0.5, using: &generator) }
        if Bool.random(using: &generator) { impairment.corruption = .random(in: 0...0.05, using: &generator) }
        return impairment
    }
}
