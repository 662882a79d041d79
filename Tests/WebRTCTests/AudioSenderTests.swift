import Audio
import SDP
import Synchronization
import Testing
import Wire

@testable import WebRTC

/// A sender, driven as its owner does.
private final class Bench {
    let queue = PlayoutQueue(rate: 16_000)
    let sender: AudioSender
    var now = MonotonicTime.zero
    private var packet = [UInt8](repeating: 0, count: 1500)

    init(seed: UInt64 = 1) throws {
        var random = RandomSource.counting(from: seed)
        sender = try AudioSender(rate: 16_000, queue: queue, randomness: &random, now: .zero)
    }

    func play(milliseconds: Int) async throws {
        try await queue.play((0..<milliseconds * 16).map { Int16($0 % 32 * 500 - 8000) })
    }

    /// What is sent when the owner looks at `time`.
    func frames(at time: MonotonicTime) -> [AudioSender.Frame] {
        now = time
        var frames: [AudioSender.Frame] = []
        while let frame = sender.nextFrame(now: now, into: &packet, at: 12) { frames.append(frame) }
        #expect(sender.deadline > now)
        return frames
    }

    /// What is sent in the next `count` ticks.
    func ticks(_ count: Int) -> [(at: MonotonicTime, frame: AudioSender.Frame)] {
        (0..<count).flatMap { _ in
            let at = sender.deadline
            return frames(at: at).map { (at, $0) }
        }
    }
}

extension RandomSource {
    /// Not random at all.
    fileprivate static func counting(from start: UInt64) -> RandomSource {
        final class Counter: Sendable {
            let value: Atomic<UInt64>
            init(_ start: UInt64) { value = Atomic(start) }
        }
        let counter = Counter(start)
        return RandomSource { counter.value.wrappingAdd(0x9e37_79b9, ordering: .relaxed).newValue }
    }
}

@Suite("Sending audio")
struct AudioSenderTests {
    @Test("a frame every 20 ms to the nanosecond, the timestamp by 960")
    func schedule() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 1000)
        let sent = bench.ticks(50)
        #expect(sent.count == 50)
        for (left, right) in zip(sent, sent.dropFirst()) {
            #expect(right.at - left.at == .milliseconds(20))
            #expect(right.frame.timestamp &- left.frame.timestamp == 960)
        }
        #expect(sent.allSatisfy { $0.frame.payloadLength > 10 })
    }

    @Test("looking late does not shift the schedule")
    func absolute() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 1000)
        let start = bench.sender.deadline
        for tick in 0..<40 {
            let late = Duration.microseconds(tick % 2 == 0 ? 14_000 : 300)
            #expect(bench.frames(at: start + .milliseconds(20 * tick) + late).count == 1)
        }
        #expect(bench.sender.deadline == start + .milliseconds(800))
    }

    @Test("calls have phases of their own within the 20 ms")
    func phases() throws {
        let phases = try (0..<50 as Range<UInt64>).map { try Bench(seed: $0 &* 7919).sender.deadline }
        #expect(phases.allSatisfy { $0 >= .zero && $0 < .zero + .milliseconds(20) })
        #expect(Set(phases).count > 40)
    }

    @Test(
        "after an absence up to two frames are sent late, the others are left out and the timestamp jumps",
        arguments: [(1, 2, 0), (2, 3, 0), (3, 3, 1), (10, 3, 8), (500, 3, 498)])
    func catchUp(missed: Int, sent: Int, skipped: Int) async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20_000)
        let before = bench.ticks(10)
        let frames = bench.frames(at: bench.sender.deadline + .milliseconds(20 * missed))
        #expect(frames.count == sent)
        let step = frames[0].timestamp &- before[9].frame.timestamp
        #expect(step == UInt32(960 * (1 + skipped)))
        // The clock still runs with the wall: one frame is one tick.
        let next = bench.ticks(1)
        #expect(next[0].frame.timestamp &- before[9].frame.timestamp == UInt32(960 * (missed + 2)))
        #expect(next[0].at - before[9].at == .milliseconds(20 * (missed + 2)))
    }

    @Test("an empty queue sends nothing, and the timestamp goes on")
    func empty() async throws {
        let bench = try Bench()
        #expect(bench.ticks(100).isEmpty)
        try await bench.play(milliseconds: 100)
        let first = bench.ticks(20)
        #expect(bench.ticks(200).isEmpty)
        try await bench.play(milliseconds: 100)
        let second = bench.ticks(20)
        let ticks = (second[0].at - first[0].at).nanoseconds / 20_000_000
        #expect(second[0].frame.timestamp &- first[0].frame.timestamp == UInt32(960 * ticks))
    }

    @Test("the marker is set where talking starts, and only there (RFC 3551 §4.1)")
    func marker() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 200)
        let first = bench.ticks(30)
        try await bench.play(milliseconds: 200)
        let second = bench.ticks(30)
        for talk in [first, second] {
            #expect(talk.map(\.frame.startsTalking) == [true] + [Bool](repeating: false, count: talk.count - 1))
        }
    }

    @Test("behind the last sound come five frames of silence")
    func hangover() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 200)
        #expect(bench.ticks(100).count == 15)
    }

    @Test("a pause shorter than that does not end the talking")
    func shortPause() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        _ = bench.ticks(8)
        try await bench.play(milliseconds: 100)
        let sent = bench.ticks(5)
        #expect(sent.count == 5)
        #expect(sent.allSatisfy { !$0.frame.startsTalking })
    }

    @Test("who delivers 20 ms every 20 ms has one frame's head start, and no gap at a late one")
    func headStart() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20)
        #expect(bench.ticks(1).isEmpty)
        try await bench.play(milliseconds: 20)
        #expect(bench.ticks(1).count == 1)
        // This one comes late: the head start covers it.
        #expect(bench.ticks(1).count == 1)
        try await bench.play(milliseconds: 40)
        #expect(bench.ticks(2).count == 2)
        #expect(bench.queue.queuedSamples == 0)
    }

    @Test("a single frame is sent too, a tick later")
    func singleFrame() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20)
        #expect(bench.ticks(1).isEmpty)
        #expect(bench.ticks(10).count == 6)
    }

    @Test("the first sequence number is below 2^15, so that no wrap hides behind lost packets (RFC 3711 §3.3.1)")
    func firstSequenceNumber() throws {
        for seed in 0..<50 as Range<UInt64> {
            let sender = try Bench(seed: seed &* 0x1234_5678_9abc_def1).sender
            let first = sender.takeSequenceNumber()
            #expect(first < 0x8000)
            #expect(sender.takeSequenceNumber() == first &+ 1)
        }
    }

    @Test("the RTP clock of a report is that of the frames, through hours")
    func reportClock() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        let first = bench.ticks(1)[0]
        #expect(bench.sender.timestamp(at: first.at) == first.frame.timestamp)
        let hours = first.at + .seconds(3600 * 30)
        #expect(
            bench.sender.timestamp(at: hours) == first.frame.timestamp &+ UInt32(truncatingIfNeeded: 3600 * 30 * 48_000)
        )
    }

    @Test("the peer's maxaveragebitrate is kept to")
    func bitrate() async throws {
        var sizes: [Int] = []
        for limit in [nil, 8000] {
            let bench = try Bench()
            var parameters = OpusParameters()
            parameters.maxAverageBitrate = limit
            bench.sender.adapt(to: parameters)
            try await bench.play(milliseconds: 2000)
            sizes.append(bench.ticks(100).reduce(0) { $0 + $1.frame.payloadLength })
        }
        #expect(sizes[1] * 2 < sizes[0])
        #expect(sizes[1] * 4 <= 8000 * 11 / 10)
    }
}
