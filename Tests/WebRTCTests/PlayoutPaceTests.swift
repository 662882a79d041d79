import Audio
import TestSupport
import Testing
import Wire

@testable import WebRTC

/// A pipeline, a queue, and the sender's side of it without its codec.
private final class Bench {
    private static let frame = 160
    let queue = PlayoutQueue(rate: 8000)
    var pace: PlayoutPace
    /// Milliseconds.
    private var nextTick: Double?
    private var quietFrames = 3

    /// The numbers of the frames with sound that were heard, and for each how long it waited.
    private(set) var heard: [(number: Int, delay: Double)] = []
    private var arrivals: [Int: Double] = [:]
    /// Pulls in the middle of talking that found nothing.
    private(set) var underruns = 0
    private(set) var silentFrames = 0
    private(set) var depth = 0

    /// Milliseconds that the first frame of a talkspurt waits.
    private let wait: Double
    private var missedTick: Double?

    init(wait: Double = 1) {
        self.wait = wait
        pace = PlayoutPace(frame: Self.frame)
    }

    /// Frame `number`, or silence, comes from the pipeline at `time`.
    func play(_ number: Int, isSilent: Bool = false, at time: Double) async throws {
        run(until: time)
        arrivals[number] = time
        try await queue.play([Int16](repeating: isSilent ? 0 : Int16(1000 + number), count: Self.frame))
        guard nextTick == nil || missedTick != nil else { return }
        let tick = queue.queuedSamples >= 2 * Self.frame ? time : time + (missedTick == nil ? wait : 1)
        nextTick = min(tick, missedTick.map { $0 + 1 } ?? tick)
        missedTick = nil
    }

    func run(until time: Double) {
        while let tick = nextTick, tick < time {
            nextTick = tick + 20
            step(at: tick)
        }
    }

    private func step(at time: Double) {
        var samples = [Int16](repeating: -1, count: Self.frame)
        var span = samples.mutableSpan
        let wasTalking = quietFrames < 3
        let pulled = pace.pull(
            from: queue, into: &span, isTalking: wasTalking, now: .zero + .nanoseconds(Int64(time * 1e6)))
        depth = queue.queuedSamples / Self.frame
        switch pulled {
        case .sound:
            (quietFrames, missedTick) = (0, nil)
            let number = Int(samples[0]) - 1000
            heard.append((number, time - (arrivals[number] ?? 0)))
            return
        case .silence:
            missedTick = nil
            silentFrames += 1
        case .nothing where wasTalking:
            missedTick = time
            underruns += 1
        case .nothing: (nextTick, missedTick) = (nil, nil)
        }
        #expect(samples == [Int16](repeating: -1, count: Self.frame))
        quietFrames = min(quietFrames + 1, 3)
    }
}

@Suite("A pipeline's pace")
struct PlayoutPaceTests {
    @Test("a pipeline far ahead: every frame, one each 20 ms, without a gap")
    func farAhead() async throws {
        let bench = Bench()
        for number in 0..<1000 { try await bench.play(number, isSilent: number % 50 > 40, at: 0) }
        bench.run(until: 20 * 1000)
        #expect(bench.heard.map(\.number) == (0..<1000).filter { $0 % 50 <= 40 })
        #expect(bench.silentFrames == 180)
        #expect(bench.underruns == 0)
        #expect(bench.heard.allSatisfy { $0.delay == Double($0.number * 20) + bench.heard[0].delay })
    }

    @Test(
        "in real time with ±15 ms of jitter for a minute: next to no gap, and at most three frames of delay",
        arguments: 0..<5 as Range<UInt64>)
    func jitter(seed: UInt64) async throws {
        let bench = Bench(wait: Double(1 + seed))
        var random = Seeded(seed)
        var last = 0.0
        for number in 0..<3000 {
            last = max(last, Double(number * 20 + 15) + random.unit() * 30 - 15)
            try await bench.play(number, at: last)
        }
        bench.run(until: 60_015)
        #expect(bench.underruns <= 30, "what 1 ms each makes of 30")
        #expect(bench.heard.map(\.number) == Array(0..<bench.heard.count))
        #expect(bench.heard.count >= 2995)
        #expect(bench.heard.allSatisfy { $0.delay <= 70 })
    }

    @Test("in real time to the point: one frame's wait, never a gap")
    func steady() async throws {
        let bench = Bench()
        for number in 0..<500 { try await bench.play(number, at: Double(number * 20)) }
        bench.run(until: 10_000)
        #expect(bench.underruns == 0)
        #expect(bench.heard.allSatisfy { $0.delay <= 2.001 })
    }

    @Test(
        "what a stall of 300 ms leaves queued is worked off in pauses within some seconds, and never in sound",
        arguments: [300, 600])
    func stall(milliseconds: Int) async throws {
        let bench = Bench()
        for number in 0..<1000 {
            let due = Double(number * 20)
            let end = 4000 + Double(milliseconds)
            // Everything that should have come during the stall comes after it at once.
            let at = (4000..<end).contains(due) ? end : due
            try await bench.play(number, isSilent: number % 50 >= 38, at: at)
            if number == 300 { #expect(bench.depth >= milliseconds / 20 - 3, "at first it is all there") }
        }
        #expect(bench.depth <= 3)
        bench.run(until: 20_100)
        #expect(bench.heard.map(\.number) == (0..<1000).filter { $0 % 50 < 38 })
        // From 14 s on it is gone.
        #expect(bench.heard.filter { $0.number > 700 }.allSatisfy { $0.delay <= 62 })
    }

    @Test("without a pause nothing is left out, however much waits")
    func stallInSound() async throws {
        let bench = Bench()
        for number in 0..<1000 {
            try await bench.play(number, at: (4000..<4300).contains(number * 20) ? 4300 : Double(number * 20))
        }
        bench.run(until: 30_000)
        #expect(bench.heard.map(\.number) == Array(0..<1000))
    }

    @Test("the pauses of a pipeline ahead of real time on purpose are left as they are", arguments: [10.0, 5, 1, 0])
    func ahead(interval: Double) async throws {
        let bench = Bench()
        for number in 0..<1000 {
            try await bench.play(number, isSilent: number % 50 >= 38, at: Double(number) * interval)
        }
        bench.run(until: 20_100)
        #expect(bench.heard.map(\.number) == (0..<1000).filter { $0 % 50 < 38 })
        #expect(bench.silentFrames == 240)
    }

    @Test("and so are those of one that keeps a lead in real time", arguments: [25, 50])
    func lead(frames: Int) async throws {
        let bench = Bench()
        for number in 0..<1000 {
            try await bench.play(number, isSilent: number % 50 >= 38, at: Double(max(0, number - frames)) * 20)
        }
        bench.run(until: 20_100)
        #expect(bench.heard.map(\.number) == (0..<1000).filter { $0 % 50 < 38 })
        #expect(bench.underruns <= 3)
        // The lead's own size once, at most.
        #expect((240 - frames...240).contains(bench.silentFrames))
    }

    @Test(
        "silence before the first sound is passed over, where there is sound among no more than five frames behind it",
        arguments: [(1, 1, 0), (1, 5, 0), (1, 6, 1), (3, 4, 1), (5, 1, 0), (6, 2, 2), (3, 50, 3), (3, 0, 3)])
    func leadingSilence(frames: Int, sounding: Int, taken: Int) async throws {
        let bench = Bench()
        for number in 0..<frames + sounding { try await bench.play(number, isSilent: number < frames, at: 0) }
        bench.run(until: 5000)
        #expect(bench.heard.map(\.number) == Array(frames..<frames + sounding))
        #expect(bench.silentFrames == taken)
    }

    @Test("what a stall leaves is worked off in the background between the words too, and no word is left out")
    func stallWithBackground() async throws {
        let queue = PlayoutQueue(rate: 8000)
        var pace = PlayoutPace(frame: 160)
        var samples = [Int16](repeating: 0, count: 160)
        var words = 0
        func play(_ number: Int) async throws {
            // -52 dBFS in pauses.
            try await queue.play([Int16](repeating: number % 50 < 38 ? 4000 : 80, count: 160))
        }
        // A stall before the sixth second; everything comes then, and from there on in real time.
        for number in 0..<1000 {
            if !(250..<265).contains(number) { try await play(number) }
            if number == 265 { for late in 250..<265 { try await play(late) } }
            var span = samples.mutableSpan
            let now = MonotonicTime.zero + .milliseconds(20 * number)
            if pace.pull(from: queue, into: &span, isTalking: true, now: now) == .sound, samples[0] == 4000 {
                words += 1
            }
        }
        #expect(queue.queuedSamples <= 160 * 3, "\(queue.queuedSamples / 160) frames")
        #expect(words >= 38 * 20 - 3)
    }

    @Test(
        "what is left of a pause is passed over when few frames wait behind it, and never while talking",
        arguments: [0, 1, 2, 5, 6, 10])
    func restOfPause(frames: Int) async throws {
        for isTalking in [false, true] {
            let queue = PlayoutQueue(rate: 8000)
            var pace = PlayoutPace(frame: 160)
            var samples = [Int16](repeating: 0, count: 160)
            var span = samples.mutableSpan
            // The queue has not been empty for long.
            for _ in 0..<11 { try await queue.play([Int16](repeating: 1000, count: 160)) }
            for _ in 0..<10 { _ = pace.pull(from: queue, into: &span, isTalking: true, now: .zero) }
            try await queue.play([Int16](repeating: 0, count: 160))
            #expect(pace.pull(from: queue, into: &span, isTalking: true, now: .zero) == .sound)
            try await queue.play([Int16](repeating: 1000, count: 160 * frames))
            let isPassedOver = !isTalking && (1...5).contains(frames)
            #expect(
                pace.pull(from: queue, into: &span, isTalking: isTalking, now: .zero)
                    == (isPassedOver ? .sound : .silence))
        }
    }

    @Test("what is there when a stall is longer than a second is left: nobody's input holds more")
    func longStall() async throws {
        let bench = Bench()
        for number in 0..<1000 {
            let due = Double(number * 20)
            try await bench.play(
                number, isSilent: number % 50 >= 38, at: (4000..<5300).contains(due) ? 5300 : due)
        }
        bench.run(until: 21_500)
        #expect(bench.heard.map(\.number) == (0..<1000).filter { $0 % 50 < 38 })
        #expect(bench.silentFrames == 240)
    }
}
