import TestSupport
import Wire

/// What happens to one call of the connectivity matrix, as its seed has it.
struct Circumstances {
    /// What lies before an address.
    enum Access: Equatable {
        case open
        /// A translator, which may let in only answers, and whose outside address may be told too.
        case translated(filters: Bool, isTold: Bool)
        /// Nothing.
        case dead
    }

    /// When a side tells of its candidates.
    enum Telling: Equatable {
        case inDescription, trickled, late(Duration), never
    }

    enum End {
        case missing, early, inTime
    }

    struct Side {
        var addresses: [SocketAddress]
        var access: [Access]
        var telling: Telling
        var end: End
        /// Candidate lines among its own that are of no use.
        var useless: [String]
    }

    enum Event {
        /// A translator gives the side's address in use another one outside.
        case rebinding(ofOfferer: Bool)
        /// The side's address in use is gone.
        case lostAddress(ofOfferer: Bool)
        case restart
        /// The address is another, and the caller knows.
        case movedRestart
        /// A second offer is on its way before the first is answered.
        case restartTwice
        case hold(String)
        /// A later offer with m-lines that are rejected.
        case moreLines
        /// Nothing gets through.
        case blackout(Duration)
        case moreCandidates
    }

    var offerer: Side
    var answerer: Side
    var impairment: Impairment
    /// Until when: the network is good from then on.
    var faultsLast: Duration
    /// From the beginning: when nothing gets through.
    var blackout: (from: Duration, length: Duration)?
    /// When a translator changes its mind while the call is set up.
    var earlyRebindings: [Duration]
    /// Of a message from one side to the other.
    var signalingDelay: Duration
    var isLite: Bool
    /// Both begin as the controlling agent, maybe with one tie-breaker.
    var isGlare: Bool
    var hasEqualTieBreakers: Bool
    var events: [Event]
    /// How it ends: one side closes, or is no more.
    var closes: Bool
    var offererEnds: Bool

    init(_ generator: inout Seeded) {
        offerer = Self.side(&generator, hosts: ["198.51.100.2", "2001:db8:2::2", "10.8.0.2"], port: 50_000)
        answerer = Self.side(&generator, hosts: ["192.0.2.1", "2001:db8:1::1", "192.0.2.2"], port: 40_000)
        impairment = Impairment()
        if generator.chance(0.8) {
            impairment.loss = .random(in: 0...0.4, using: &generator)
            let shortest = Double.random(in: 1...200, using: &generator)
            impairment.delay = shortest...shortest + .random(in: 0...300, using: &generator)
            if generator.chance(0.5) { impairment.duplication = .random(in: 0...0.5, using: &generator) }
            if generator.chance(0.2) { impairment.corruption = .random(in: 0...0.05, using: &generator) }
        }
        faultsLast = .milliseconds(.random(in: 0...9_000, using: &generator))
        if generator.chance(0.15) {
            blackout = (
                .milliseconds(.random(in: 0...2_000, using: &generator)),
                .milliseconds(.random(in: 500...6_000, using: &generator))
            )
        }
        // A translator on the other side that lets in only answers would keep the new address out for good.
        let isKeptOut = answerer.access.contains { if case .translated(true, _) = $0 { true } else { false } }
        earlyRebindings =
            generator.chance(0.25) && !isKeptOut
            ? (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                .milliseconds(.random(in: 50...4_000, using: &generator))
            } : []
        signalingDelay = .milliseconds(.random(in: 1...400, using: &generator))
        isLite = generator.chance(0.12)
        isGlare = !isLite && generator.chance(0.2)
        hasEqualTieBreakers = generator.chance(0.3)
        events = (0..<Int.random(in: 0...3, using: &generator)).map { _ in Self.event(&generator) }
        closes = generator.chance(0.8)
        offererEnds = Bool.random(using: &generator)
    }

    private static func side(_ generator: inout Seeded, hosts: [String], port: UInt16) -> Side {
        let count = [1, 1, 2, 2, 3].randomElement(using: &generator) ?? 1
        let hosts =
            count == 1 && generator.chance(0.8) ? hosts.prefix(1) : hosts.shuffled(using: &generator).prefix(count)
        let addresses = hosts.enumerated().map { Simulation.address($1, port + UInt16($0)) }
        let access = addresses.map { _ -> Access in
            switch Int.random(in: 0..<10, using: &generator) {
            case ..<6: .open
            case ..<9: .translated(filters: .random(using: &generator), isTold: .random(using: &generator))
            default: .dead
            }
        }
        let telling: Telling =
            switch Int.random(in: 0..<20, using: &generator) {
            case ..<7: .inDescription
            case ..<13: .trickled
            case ..<17: .late(.milliseconds(.random(in: 500...8_000, using: &generator)))
            default: .never
            }
        let end = [End.missing, .early, .inTime].randomElement(using: &generator) ?? .missing
        return Side(
            addresses: addresses, access: access, telling: telling, end: end, useless: useless(&generator))
    }

    private static func useless(_ generator: inout Seeded) -> [String] {
        let lines = [
            "candidate:9 1 udp 2122260223 0aa1b2c3-0000-4000-8000-123456789abc.local 50000 typ host",
            "candidate:9 1 tcp 1518280447 203.0.113.40 9 typ host tcptype active",
            "candidate:9 1 tcp 1518280447 203.0.113.40 50000 typ host tcptype passive",
            "candidate:9 1 udp 2122260223 127.0.0.1 50000 typ host",
            "candidate:9 1 udp 2122260223 ::1 50000 typ relay raddr 0.0.0.0 rport 9",
            "candidate:9 1 udp 2122260223 169.254.169.254 50000 typ relay raddr 0.0.0.0 rport 9",
            "candidate:9 1 udp 2122260223 ::ffff:127.0.0.1 50000 typ srflx raddr 0.0.0.0 rport 9",
            "candidate:9 1 udp 2122260223 0.0.0.0 50000 typ host",
            "candidate:9 1 udp 2122260223 224.0.0.1 50000 typ host",
            "candidate:9 1 udp 2122260223 10.0.0.1 53 typ host",
            "candidate:9 2 udp 2122260222 203.0.113.41 50001 typ host",
            "candidate:9 1 udp 2122260222 203.0.113.42 50001 typ host ufrag othr", "candidate:", "",
            "nothing of the kind",
        ]
        var chosen = lines.shuffled(using: &generator).prefix(.random(in: 0...6, using: &generator)).map { $0 }
        // Some that nobody answers.
        let count = generator.chance(0.05) ? 60 : Int.random(in: 0...2, using: &generator)
        chosen += (0..<count).map {
            "candidate:8 1 udp \(2_113_929_471 - $0) 203.0.113.\(100 + $0) 50000 typ host"
        }
        return chosen
    }

    private static func event(_ generator: inout Seeded) -> Event {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0...1: .rebinding(ofOfferer: generator.chance(0.7))
        case 2: .lostAddress(ofOfferer: .random(using: &generator))
        case 3: .restart
        case 4: .movedRestart
        case 5: .restartTwice
        case 6: .hold(["sendonly", "recvonly", "inactive"].randomElement(using: &generator) ?? "inactive")
        case 7: .moreLines
        case 8: .blackout(.milliseconds(.random(in: 500...20_000, using: &generator)))
        default: .moreCandidates
        }
    }

    // MARK: - What is to be expected

    /// Whether there is a way that either side hears of in time.
    var isReachable: Bool {
        // 100 checks are all that strangers get: with many of them they may be spent before the right one is checked often.
        guard offerer.useless.count < 20, answerer.useless.count < 20 else { return false }
        // One bit in a handshake ends it.
        guard impairment.corruption == 0 else { return false }
        for (own, ownAccess) in zip(offerer.addresses, offerer.access) where ownAccess != .dead {
            for (other, otherAccess) in zip(answerer.addresses, answerer.access) where otherAccess != .dead {
                guard own.family == other.family else { continue }
                let (offererKnows, answererKnows) = (
                    answerer.telling != .never && otherAccess.isReachedByTold,
                    offerer.telling != .never && ownAccess.isReachedByTold && !isLite
                        && (ownAccess == .open || earlyRebindings.isEmpty)
                )
                if offererKnows || answererKnows { return true }
            }
        }
        return false
    }

    /// Whether it must not come about: nobody hears of a way.
    var isUnreachable: Bool {
        if offerer.telling == .never && answerer.telling == .never { return true }
        return !zip(offerer.addresses, offerer.access).contains { own, ownAccess in
            zip(answerer.addresses, answerer.access).contains { other, otherAccess in
                own.family == other.family && ownAccess != .dead && otherAccess != .dead
            }
        }
    }
}

extension Circumstances.Access {
    /// Whether a check to a candidate gets through from anywhere.
    var isReachedByTold: Bool {
        switch self {
        case .open: true
        case .translated(let filters, let isTold): !filters && isTold
        case .dead: false
        }
    }
}
