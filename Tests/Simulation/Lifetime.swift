import Audio
import Testing
import WebRTC
import Wire

/// One call of the matrix from its first datagram to its end, and what must hold of it.
struct Lifetime {
    let call: Call
    let scenario: Scenario
    private var world: World { call.world }
    /// Of one side, when there are no faults and nothing was said: how soon something said is heard.
    private static let onset = Duration.milliseconds(100)
    static let recovery = Duration.milliseconds(500)
    /// Consent checks, at most 6 s apart, are what a new address shows itself by (RFC 7675 §5.1).
    static let rebinding = Duration.milliseconds(6_500)

    init(seed: UInt64) {
        call = Call(seed: seed, hears: 4_000, encoder: EncoderSettings(complexity: 0))
        scenario = Scenario(&call.world.generator)
        for endpoint in call.both { endpoint.keepsTime = true }
    }

    func run() async throws {
        if scenario.impairsSetup { world.impairment = scenario.impairment }
        if scenario.isTranslated { world.translations[call.offerer.address] = address("203.0.113.9", 61_000) }
        try call.signal(scenario.candidates)
        if connects() {
            let cutShort = try await suffers()
            if !cutShort { try await recovers() }
            closes()
        }
        for endpoint in call.both { try await checkSound(of: endpoint) }
    }

    /// Whether both sides are up. A call that is not has ended with a reason.
    private func connects() -> Bool {
        world.run(for: .seconds(62)) { call.isConnected || call.isOver }
        if call.isConnected { return true }
        guard !world.hasFailed else { return false }
        world.impairment = Impairment()
        world.run(for: .seconds(62)) { call.isOver }
        if !call.isOver { world.fail("a call that did not come about does not end") }
        if !scenario.impairsSetup { world.fail("a good network, and it does not connect") }
        return false
    }

    /// The faults. Returns whether the call is over then, as it may be where next to nothing gets through.
    private func suffers() async throws -> Bool {
        world.impairment = scenario.impairment
        let speech = Signal.pool.prefix(Int(scenario.speech * 16_000))
        for endpoint in call.both { try await endpoint.output.play(Array(speech)) }
        world.run(for: .seconds(scenario.speech / 2))
        switch scenario.event {
        case .none: break
        case .rebinding: world.translations[call.offerer.address] = address("203.0.113.77", 4_444)
        case .blackout(let length, let oneWay):
            let mute = scenario.offererCloses ? call.offerer.address : call.answerer.address
            world.passes = { oneWay && world.translations[mute] ?? mute != $0.from }
            world.run(for: length)
            world.passes = { _ in true }
        }
        world.run(for: .seconds(scenario.speech / 2))
        let isOver = call.both.contains { $0.end != nil }
        if isOver, isHarmless { world.fail("ends where it had no reason to: \(call.both.map { $0.end?.reason })") }
        return isOver
    }

    private var isHarmless: Bool {
        let isShort = if case .blackout(let length, _) = scenario.event { length < .seconds(23) } else { true }
        return isShort && scenario.impairment.loss <= 0.3 && scenario.impairment.bursts <= 0.02
    }

    /// Nothing is wrong any more: sound flows again, at once.
    private func recovers() async throws {
        world.impairment = Impairment()
        if case .rebinding = scenario.event { world.run(for: Self.rebinding) }
        for endpoint in call.both { try await endpoint.output.clearAndPlay(Signal.pool) }
        let before = call.both.map(\.input.spoken)
        let isBack = world.run(for: Self.recovery) {
            zip(call.both, before).allSatisfy { $0.input.spoken >= $1 + 5 }
        }
        guard !world.hasFailed else { return }
        guard isBack else {
            let heard = zip(call.both, before).map { $0.input.spoken - $1 }
            return world.fail("no sound \(Self.recovery) after the last fault: \(heard) frames, \(scenario)")
        }
        for endpoint in call.both { _ = endpoint.output.clear() }
        // What was on its way when the faults stopped is through then, and a pause wears off what was made up.
        world.run(for: .seconds(1))
        let quiet = call.both.map(\.input.spoken)
        let start = world.now
        for endpoint in call.both { try await endpoint.output.play(Signal.onset) }
        var delays = [Duration?](repeating: nil, count: 2)
        world.run(for: .milliseconds(500)) {
            for index in delays.indices where delays[index] == nil && call.both[index].input.spoken > quiet[index] {
                delays[index] = world.now - start
            }
            return !delays.contains(nil)
        }
        // Sound may be back a moment before the answer that consents to it, and that moment be the last of the 30 s.
        if !isHarmless, call.both.contains(where: { $0.end?.reason == .consentExpired }) { return }
        guard delays.allSatisfy({ $0.map { $0 <= Self.onset } ?? false }) || world.hasFailed else {
            return world.fail("a delay stays: \(delays), \(scenario)")
        }
    }

    private func closes() {
        let closing = scenario.offererCloses ? call.offerer : call.answerer
        closing.close(now: world.now)
        world.run(for: .seconds(62)) { call.isOver }
        guard !world.hasFailed else { return }
        if !call.isOver { world.fail("one side closes, and the other does not end") }
        // Nothing is left that would be done.
        world.run(for: .seconds(1))
        let ends = call.both.map { endpoint in
            endpoint.events.count { if case .ended = $0.event { true } else { false } }
        }
        if ends != [1, 1] { world.fail("does not end once on each side: \(ends)") }
    }

    private func checkSound(of endpoint: Endpoint) async throws {
        let heard = await endpoint.heard()
        guard !world.hasFailed else { return }
        guard let start = endpoint.events.first(where: { $0.event == .connected })?.at, let end = endpoint.end?.at
        else {
            return heard.isEmpty ? () : world.fail("sound without a connection")
        }
        let elapsed = end - start
        let impairment = scenario.impairment
        if abs((heard.duration - elapsed).milliseconds) > StatisticsWatch.slack.milliseconds {
            world.fail("\(heard.duration) of sound in \(elapsed)")
        }
        if heard.jumps != [] { world.fail("the clock jumps: \(heard.jumps)") }
        // 120 ms may begin and end within a frame. Where there is loss beside, one gap's frame may be the next one's too.
        let isLossless = [impairment.loss, impairment.bursts, impairment.corruption] == [0, 0, 0]
        if isLossless, heard.longestConcealment > 7 {
            world.fail("\(heard.longestConcealment) frames in a row are made up")
        }
        let other = endpoint === call.offerer ? call.answerer : call.offerer
        let received = endpoint.peer.currentStatistics().packetsReceived
        let sent = other.peer.currentStatistics().packetsSent
        if received > sent { world.fail("\(received) packets of \(sent)") }
    }
}

extension PlayoutQueue {
    func clearAndPlay(_ samples: [Int16]) async throws {
        _ = clear()
        try await play(samples)
    }
}

extension [PCMInputQueue.Frame] {
    /// Frames in a row that were made up.
    var longestConcealment: Int {
        var (longest, run) = (0, 0)
        for frame in self {
            run = frame.concealed ? run + 1 : 0
            longest = Swift.max(longest, run)
        }
        return longest
    }
}
