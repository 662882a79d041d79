import Audio
import Foundation
import TestSupport
import Testing
import Wire

@testable import ICE
@testable import WebRTC

/// One call of the connectivity matrix: how it comes about, what it lives through, and how it ends.
final class Connectivity {
    let world: World
    let offerer: Endpoint
    let answerer: Endpoint
    private var circumstances: Circumstances
    private var both: [Endpoint] { [offerer, answerer] }
    /// Once the network is good, and all that is told is told.
    private static let connecting = Duration.seconds(5)
    /// A check of consent every 6 s at most, half a second for its answer, and then the pair that works.
    private static let recovery = Duration.seconds(8)
    /// RFC 8863 §4: what ICE waits for a candidate to come; the 35 s would be less.
    private static let patience = Duration.milliseconds(39_500)
    private var outside: UInt16 = 60_000
    private var hasMoved = false

    init(seed: UInt64) {
        world = World(seed: seed)
        circumstances = Circumstances(&world.generator)
        let encoder = EncoderSettings(complexity: 0)
        offerer = Endpoint(
            .offering, at: circumstances.offerer.addresses, seed: seed &* 2, hears: 100, encoder: encoder)
        answerer = Endpoint(
            .answering, at: circumstances.answerer.addresses, seed: seed &* 2 &+ 1, isLite: circumstances.isLite,
            hears: 100, encoder: encoder)
        world.nodes = [offerer, answerer]
        if circumstances.isGlare, circumstances.hasEqualTieBreakers {
            answerer.peer.ice.tieBreaker = offerer.peer.ice.tieBreaker
        }
    }

    func run() async throws {
        build(circumstances.offerer)
        build(circumstances.answerer)
        impair()
        try negotiate(isFirst: true)
        guard connects() else { return checkEnd() }
        for event in circumstances.events {
            guard !world.hasFailed, try await survives(event) else { return checkEnd() }
        }
        end()
        checkEnd()
    }

    /// In a word.
    var outcome: String {
        if world.hasFailed { return "at fault" }
        let cameAbout = both.contains { $0.isConnected } ? "connected" : "not connected"
        let isExpected = both.allSatisfy { $0.end?.reason == .closed || $0.end?.reason == .closedByPeer }
        return isExpected ? cameAbout : "\(cameAbout), ended for a reason"
    }

    // MARK: - The network

    private func build(_ side: Circumstances.Side) {
        for (address, access) in zip(side.addresses, side.access) {
            switch access {
            case .open: break
            case .translated(let filters, _):
                translate(address)
                if filters { world.filtered.insert(address) }
            case .dead: world.dead.insert(address)
            }
        }
    }

    /// Gives an address another one outside.
    private func translate(_ address: SocketAddress) {
        outside += 1
        world.translations[address] =
            address.family == .ipv4
            ? Simulation.address("203.0.113.9", outside) : Simulation.address("2001:db8:ffff::9", outside)
    }

    private func impair() {
        let world = world
        world.impairment = circumstances.impairment
        world.after(circumstances.faultsLast) { world.impairment = Impairment() }
        if let (start, length) = circumstances.blackout {
            world.after(start) { world.passes = { _ in false } }
            world.after(start + length) { world.passes = { _ in true } }
        }
        for time in circumstances.earlyRebindings {
            world.after(time) { [self] in rebind(offerer) }
        }
    }

    /// Whatever of the side's addresses is translated is translated otherwise.
    private func rebind(_ side: Endpoint) {
        for address in side.addresses where world.translations[address] != nil { translate(address) }
    }

    /// The address that a side's media leaves by.
    private func addressInUse(by side: Endpoint) -> SocketAddress? {
        side.peer.ice.selected.map { side.addresses[$0.path] }
    }

    // MARK: - Signaling

    /// An offer goes out, its answer comes back, and candidates before, between and behind them.
    private func negotiate(isFirst: Bool, edit: @escaping (String) -> String = { $0 }) throws {
        let (world, answerer) = (world, answerer)
        var offer = edit(try offerer.peer.makeOffer())
        if isFirst, circumstances.isGlare {
            // Who hears that the other is lite has to be controlling.
            offer = offer.replacing("\r\nt=0 0\r\n", with: "\r\nt=0 0\r\na=ice-lite\r\n")
        }
        let version = offerer.peer.sessionVersion
        let trickles = circumstances.offerer.telling == .trickled || circumstances.offerer.telling == .inDescription
        if circumstances.offerer.telling == .inDescription { offer += candidateLines(offerer, for: answerer) }
        if !isFirst || trickles { tell(offerer, to: answerer, after: circumstances.signalingDelay) }
        if isFirst, case .late(let time) = circumstances.offerer.telling { tell(offerer, to: answerer, after: time) }
        world.after(circumstances.signalingDelay) { [self] in
            guard !answerer.peer.hasEnded else { return }
            attempt {
                let answer = try answerer.peer.answer(offer: offer, now: world.now)
                deliver(answer: answer, to: version, isFirst: isFirst)
            }
        }
    }

    private func deliver(answer: String, to version: UInt64, isFirst: Bool) {
        var answer = answer
        // Of more m-lines than the offering side knows of, the first is the call's.
        let sections = answer.components(separatedBy: "\r\nm=")
        if sections.count > 2 { answer = sections.prefix(2).joined(separator: "\r\nm=") + "\r\n" }
        let telling = circumstances.answerer.telling
        if telling == .inDescription {
            for line in answer.split(separator: "\r\n") where line.hasPrefix("a=candidate:") {
                offerer.note(String(line.dropFirst(2)))
            }
        } else {
            answer = answer.split(separator: "\r\n").filter { !$0.hasPrefix("a=candidate:") }.map { $0 + "\r\n" }
                .joined()
        }
        if telling == .inDescription { answer += candidateLines(answerer, for: offerer) }
        if telling == .trickled || (!isFirst && telling != .never) {
            tell(answerer, to: offerer, after: circumstances.signalingDelay)
        }
        if isFirst, case .late(let time) = telling { tell(answerer, to: offerer, after: time) }
        world.after(circumstances.signalingDelay) { [self] in
            // An answer to an offer that has been replaced is no answer.
            guard !offerer.peer.hasEnded, version == offerer.peer.sessionVersion else { return }
            attempt { try offerer.peer.accept(answer: answer, now: world.now) }
        }
    }

    private func attempt(_ body: () throws -> Void) {
        do { try body() } catch { world.fail("\(error)") }
    }

    private func side(_ endpoint: Endpoint) -> Circumstances.Side {
        endpoint === offerer ? circumstances.offerer : circumstances.answerer
    }

    /// A side's candidates and what goes with them; those of translators are told where they are known.
    private func candidates(of endpoint: Endpoint) -> [String] {
        let side = side(endpoint)
        let outside = zip(side.addresses, side.access).compactMap { address, access -> String? in
            guard case .translated(_, true) = access, let outside = world.translations[address] else { return nil }
            let base = "raddr \(address.host) rport \(address.port)"
            return "candidate:5 1 udp 1677729535 \(outside.host) \(outside.port) typ srflx \(base)"
        }
        return (endpoint.peer.localCandidates + outside + side.useless).shuffled(using: &world.generator)
    }

    private func candidateLines(_ endpoint: Endpoint, for other: Endpoint) -> String {
        candidates(of: endpoint).filter { $0.count > 20 }.map { line in
            other.note(line)
            return "a=\(line)\r\n"
        }.joined()
    }

    /// Tells `other` one candidate after the other, in any order.
    private func tell(_ endpoint: Endpoint, to other: Endpoint, after delay: Duration) {
        let world = world
        let end = side(endpoint).end
        func say(after delay: Duration, _ message: @escaping () -> Void) {
            world.after(delay) { if !other.peer.hasEnded { message() } }
        }
        if end == .early { say(after: delay) { other.peer.endOfRemoteCandidates(now: world.now) } }
        for line in candidates(of: endpoint) {
            let more = Duration.milliseconds(Int.random(in: 0...200, using: &world.generator))
            say(after: delay + more) { other.add(candidate: line, now: world.now) }
        }
        if end == .inTime {
            say(after: delay + .milliseconds(200)) { other.peer.endOfRemoteCandidates(now: world.now) }
        }
    }

    // MARK: - Coming about

    /// When the last fault is over and the last candidate told.
    private var calm: Duration {
        var calm = circumstances.faultsLast
        if let (start, length) = circumstances.blackout { calm = max(calm, start + length) }
        for time in circumstances.earlyRebindings { calm = max(calm, time) }
        let told = [circumstances.offerer, circumstances.answerer].map { side -> Duration in
            if case .late(let time) = side.telling { time } else { .zero }
        }
        return max(calm, (told.max() ?? .zero) + circumstances.signalingDelay * 3 + .milliseconds(200))
    }

    private var isConnected: Bool { both.allSatisfy(\.isConnected) }
    private var isOver: Bool { both.allSatisfy { $0.end != nil } }

    private func connects() -> Bool {
        world.run(for: calm + Self.connecting) { isConnected || isOver }
        if isConnected {
            if circumstances.isUnreachable { world.fail("connected where there is no way") }
            // What happens from here on happens on a good network.
            let rebinding = circumstances.earlyRebindings.isEmpty ? Duration.zero : Self.recovery
            world.run(for: max(calm + .milliseconds(600) + rebinding - (world.now - .zero), .zero))
            return !world.hasFailed
        }
        if !circumstances.earlyRebindings.isEmpty { world.run(for: Self.recovery) { isConnected || isOver } }
        if isConnected { return !world.hasFailed }
        if circumstances.isReachable { world.fail("not connected \(Self.connecting) after the last fault") }
        let left = Self.patience + circumstances.signalingDelay * 2 - (world.now - .zero)
        world.run(for: max(left, .zero)) { isConnected || isOver }
        if isConnected { return true }
        // One side may have found a path that the other has not; its handshake ends then, or its consent.
        world.run(for: .seconds(31)) { isOver }
        if !isOver { world.fail("neither connected nor over: \(both.map(\.end?.reason))") }
        return false
    }

    // MARK: - Staying

    /// Whether media comes to both sides, as far as they send.
    private func flows(within limit: Duration, toOfferer: Bool = true, toAnswerer: Bool = true) async throws -> Bool {
        let before = both.map { $0.peer.currentStatistics().packetsReceived }
        let end = world.now + limit
        var isBack = false
        while !isBack, world.now < end, !isOver, !world.hasFailed {
            for endpoint in both { try await endpoint.output.clearAndPlay(Signal.pool) }
            isBack = world.run(for: min(.seconds(3), end - world.now)) {
                let now = both.map { $0.peer.currentStatistics().packetsReceived }
                return (!toOfferer || now[0] >= before[0] + 5) && (!toAnswerer || now[1] >= before[1] + 5)
            }
        }
        for endpoint in both { _ = endpoint.output.clear() }
        return isBack
    }

    /// Whether the call lives on, as it must wherever there is a way.
    private func survives(_ event: Circumstances.Event) async throws -> Bool {
        var limit = Duration.seconds(2)
        var mayEnd = false
        switch event {
        case .rebinding(let ofOfferer):
            // A lite agent is one that everybody reaches.
            let side = ofOfferer || circumstances.isLite ? offerer : answerer
            mayEnd = !move(side)
            limit = Self.recovery
        case .lostAddress(let ofOfferer):
            mayEnd = !lose(ofOfferer)
            limit = Self.recovery
        case .restart:
            try restart()
        case .movedRestart:
            mayEnd = !move(offerer)
            try restart()
            limit = Self.recovery
        case .restartTwice:
            try restart()
            world.run(for: circumstances.signalingDelay / 2)
            try restart()
        case .hold(let direction):
            try negotiate(isFirst: false) { $0.replacingDirection(with: direction) }
            world.run(for: circumstances.signalingDelay * 2 + .milliseconds(500))
            guard try await isHeld(direction) else { return false }
            try negotiate(isFirst: false)
        case .moreLines:
            try negotiate(isFirst: false) {
                $0 + "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:7\r\na=inactive\r\n"
                    + "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:8\r\n"
            }
        case .blackout(let length):
            world.passes = { _ in false }
            world.run(for: length)
            world.passes = { _ in true }
            guard try await flows(within: limit) else { break }
            // Consent was not renewed meanwhile.
            world.run(for: .seconds(7))
        case .moreCandidates:
            for (own, other) in [(offerer, answerer), (answerer, offerer)] { tell(own, to: other, after: .zero) }
        }
        world.run(for: circumstances.signalingDelay * 4)
        // A restart that is under way has its own time to find a path.
        let isBack = try await flows(within: mayEnd ? Self.patience + .seconds(2) : limit)
        guard !world.hasFailed else { return false }
        if isBack { return true }
        let isOver = both.contains { $0.end != nil }
        if !(mayEnd && isOver) { world.fail("no media \(limit) after \(event)") }
        world.run(for: .seconds(36)) { self.isOver }
        return false
    }

    /// Gives the address in use by a side another one outside. Whether the other side may hear of it.
    private func move(_ side: Endpoint) -> Bool {
        guard let address = addressInUse(by: side), let index = side.addresses.firstIndex(of: address) else {
            return true
        }
        translate(address)
        hasMoved = true
        if side === offerer, circumstances.offerer.access[index] == .open {
            circumstances.offerer.access[index] = .translated(filters: false, isTold: true)
        } else if side === answerer, circumstances.answerer.access[index] == .open {
            circumstances.answerer.access[index] = .translated(filters: false, isTold: true)
        }
        let other = side === offerer ? answerer : offerer
        return addressInUse(by: other).map { !world.filtered.contains($0) } ?? false
    }

    private func restart() throws {
        offerer.peer.restartICE(now: world.now)
        try negotiate(isFirst: false)
    }

    /// Takes the address in use from a side. Whether another way is left that is known.
    private func lose(_ ofOfferer: Bool) -> Bool {
        let side = ofOfferer ? offerer : answerer
        guard let address = addressInUse(by: side), let index = side.addresses.firstIndex(of: address) else {
            return true
        }
        world.dead.insert(address)
        if ofOfferer {
            circumstances.offerer.access[index] = .dead
        } else {
            circumstances.answerer.access[index] = .dead
        }
        // Where a translator has moved an address, nobody was told.
        return circumstances.isReachable && !hasMoved
    }

    private func isHeld(_ direction: String) async throws -> Bool {
        let (fromOfferer, fromAnswerer) = (direction == "sendonly", direction == "recvonly")
        let before = both.map { $0.peer.currentStatistics().packetsSent }
        let isAsAsked = try await flows(within: .seconds(1), toOfferer: fromAnswerer, toAnswerer: fromOfferer)
        if !isAsAsked { world.fail("\(direction), and nothing comes") }
        let answererSent = answerer.peer.currentStatistics().packetsSent - before[1]
        if !fromAnswerer, answererSent > 0 { world.fail("\(direction), and the answering side sends") }
        return !world.hasFailed
    }

    // MARK: - The end

    private func end() {
        guard !world.hasFailed else { return }
        let (ending, other) = circumstances.offererEnds ? (offerer, answerer) : (answerer, offerer)
        let start = world.now
        if circumstances.closes {
            ending.close(now: world.now)
            world.run(for: .seconds(1)) { isOver }
            if other.end?.reason != .closedByPeer { world.fail("closed, and the other: \(other.end?.reason as Any)") }
            return
        }
        world.dead.formUnion(ending.addresses)
        // A restart that is under way has its own time to find a path.
        let limits = both.map { $0.peer.ice.hasSelection ? Duration.seconds(30) : Self.patience }
        world.run(for: .seconds(40)) { isOver }
        for (endpoint, limit) in zip(both, limits) where !world.hasFailed {
            // What it said last was on its way for 10 ms.
            guard let end = endpoint.end, end.reason == .consentExpired, end.at - start <= limit + .milliseconds(10)
            else {
                return world.fail("the peer is gone, and this ended: \(endpoint.end as Any)")
            }
        }
    }

    /// Nothing is left that would be done, and it ended once.
    private func checkEnd() {
        guard !world.hasFailed else { return }
        for endpoint in both { endpoint.close(now: world.now) }
        world.run(for: .seconds(1))
        for endpoint in both {
            let ends = endpoint.events.count { if case .ended = $0.event { true } else { false } }
            if ends != 1 || endpoint.deadline != nil { world.fail("\(ends) ends") }
        }
    }
}
