import Audio
import SDP
import TestSupport
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
        var random = RandomSource.seeded(seed)
        sender = try AudioSender(
            rate: 16_000, queue: queue, settings: EncoderSettings(), randomness: &random, now: .zero)
    }

    /// - Parameter loudness: of the loudest sample.
    func play(milliseconds: Int, loudness: Int = 8000) async throws {
        try await queue.play((0..<milliseconds * 16).map { Int16(($0 % 33 - 16) * loudness / 16) })
    }

    /// What is sent when the owner looks at `time`.
    func frames(at time: MonotonicTime) -> [AudioSender.Frame] {
        now = time
        var frames: [AudioSender.Frame] = []
        while let frame = sender.nextFrame(now: now, into: &packet, at: 12) { frames.append(frame) }
        if let deadline = sender.deadline { #expect(deadline > now) }
        return frames
    }

    /// What is sent at the next `count` deadlines, or until the sender rests.
    func ticks(_ count: Int) -> [(at: MonotonicTime, frame: AudioSender.Frame)] {
        var sent: [(at: MonotonicTime, frame: AudioSender.Frame)] = []
        for _ in 0..<count {
            guard let deadline = sender.deadline else { break }
            let at = max(deadline, now)
            sent += frames(at: at).map { (at, $0) }
        }
        return sent
    }
}

@Suite("Sending audio")
struct AudioSenderTests {
    @Test("a frame every 20 ms to the nanosecond, the timestamp by 960, from now on")
    func schedule() async throws {
        let bench = try Bench()
        bench.now = .zero + .milliseconds(123)
        try await bench.play(milliseconds: 1000)
        let sent = bench.ticks(50)
        #expect(sent.count == 50)
        #expect(sent.first?.at == .zero + .milliseconds(123))
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
        for tick in 0..<40 {
            let late = Duration.microseconds(tick == 0 ? 0 : tick % 2 == 0 ? 14_000 : 300)
            #expect(bench.frames(at: .zero + .milliseconds(20 * tick) + late).count == 1)
        }
        #expect(bench.sender.deadline == .zero + .milliseconds(800))
    }

    @Test("with nothing to play it rests: no deadline, and one in the past once something is played")
    func rest() async throws {
        let bench = try Bench()
        #expect(bench.sender.deadline == nil && bench.sender.tick == nil)
        #expect(bench.frames(at: .zero + .seconds(1)).isEmpty)
        #expect(bench.sender.deadline == nil)
        try await bench.play(milliseconds: 20)
        #expect(try #require(bench.sender.deadline) <= bench.now)
        #expect(bench.sender.tick == nil)
        _ = bench.frames(at: .zero + .seconds(2))
        #expect(bench.sender.tick == bench.sender.deadline)
        _ = bench.ticks(10)
        #expect(bench.sender.deadline == nil && bench.sender.tick == nil)
    }

    @Test(
        "a talkspurt begins with two frames at once, with one 1 to 5 ms later, always on whole milliseconds",
        arguments: [(20, 1...6), (39, 1...6), (40, 0...1), (1000, 0...1)])
    func start(queued: Int, wait: ClosedRange<Int>) async throws {
        var waits: Set<Int64> = []
        for seed in 0..<40 as Range<UInt64> {
            let bench = try Bench(seed: seed)
            let now = MonotonicTime.zero + .microseconds(Int(seed) * 10_250)
            try await bench.play(milliseconds: queued)
            if bench.frames(at: now).isEmpty {
                let tick = try #require(bench.sender.tick)
                #expect(tick.nanoseconds % 1_000_000 == 0)
                #expect(
                    (wait.lowerBound * 1000...wait.upperBound * 1000).contains(Int((tick - now).nanoseconds / 1000)))
                waits.insert((tick - now).nanoseconds / 1_000_000)
                #expect(bench.frames(at: tick).count == 1)
            } else {
                #expect(wait.lowerBound == 0)
            }
        }
        // Calls that begin at the same moment do not all fall on one point.
        if queued < 40 { #expect(waits.count >= 4) }
    }

    @Test("each talkspurt has a schedule of its own")
    func newSchedule() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        let first = bench.ticks(20)
        bench.now = .zero + .milliseconds(1007)
        try await bench.play(milliseconds: 100)
        let second = bench.ticks(20)
        #expect(second[0].at == .zero + .milliseconds(1007))
        #expect(second[0].frame.timestamp &- first[0].frame.timestamp == 1007 * 48)
    }

    @Test(
        "after an absence one frame is sent late, the others are left out and the timestamp jumps",
        arguments: [(0, 1, 0), (1, 2, 0), (2, 2, 1), (3, 2, 2), (10, 2, 9), (500, 2, 499)])
    func catchUp(missed: Int, sent: Int, skipped: Int) async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20_000)
        let before = bench.ticks(10)
        let frames = bench.frames(at: try #require(bench.sender.deadline) + .milliseconds(20 * missed))
        #expect(frames.count == sent)
        let step = frames[0].timestamp &- before[9].frame.timestamp
        #expect(step == UInt32(960 * (1 + skipped)))
        // The clock still runs with the wall: one frame is one tick.
        let next = bench.ticks(1)
        #expect(next[0].frame.timestamp &- before[9].frame.timestamp == UInt32(960 * (missed + 2)))
        #expect(next[0].at - before[9].at == .milliseconds(20 * (missed + 2)))
        // What was not sent is not lost: it is only later.
        #expect(bench.queue.queuedSamples == 320 * (1000 - 10 - sent - 1))
    }

    @Test("the marker is set where talking starts, and only there (RFC 3551 §4.1)")
    func marker() async throws {
        let bench = try Bench()
        for _ in 0..<3 {
            try await bench.play(milliseconds: 200)
            let talk = bench.ticks(30)
            #expect(talk.map(\.frame.startsTalking) == [true] + [Bool](repeating: false, count: talk.count - 1))
            bench.now = bench.now + .seconds(1)
        }
    }

    @Test(
        "20 ms after the last sound come two frames of silence, at once three where silence was played",
        arguments: [(20, 3), (200, 12), (1000, 52)])
    func hangover(milliseconds: Int, frames: Int) async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: milliseconds)
        let sent = bench.ticks(100)
        #expect(sent.count == frames)
        #expect(sent[frames - 2].at - sent[frames - 3].at == .milliseconds(40))

        let longer = try Bench()
        try await longer.play(milliseconds: milliseconds)
        try await longer.play(milliseconds: 1000, loudness: 0)
        #expect(longer.ticks(200).count == frames + 1)
    }

    @Test("a pause shorter than that does not end the talking")
    func shortPause() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        #expect(bench.ticks(7).count == 6)
        try await bench.play(milliseconds: 100)
        let sent = bench.ticks(5)
        #expect(sent.count == 5)
        #expect(sent.allSatisfy { !$0.frame.startsTalking })
    }

    @Test(
        "silence that is played is not sent beyond that, and takes its time",
        arguments: [(0, false), (54, false), (60, true), (1000, true)])
    func silence(loudness: Int, isSent: Bool) async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        try await bench.play(milliseconds: 1000, loudness: loudness)
        try await bench.play(milliseconds: 100)
        let sent = bench.ticks(100)
        #expect(sent.count == (isSent ? 62 : 15))
        let times = sent.map { Int(($0.at - MonotonicTime.zero).nanoseconds / 20_000_000) }
        // Of the pause the last frame, with few behind it, is passed over.
        if !isSent { #expect(times == Array(0..<8) + Array(54..<59) + [60, 61]) }
        for (at, frame) in sent.dropLast(2) {
            #expect(frame.timestamp == bench.sender.timestamp(at: at))
            #expect(frame.startsTalking == (at == .zero || !isSent && at == .zero + .milliseconds(1080)))
        }
    }

    @Test(
        "when a frame is due and none is there nothing is sent; it leaves when it comes, and the next 21 ms after it was due"
    )
    func starved() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20)
        let first = try #require(bench.ticks(2).first)
        #expect(bench.frames(at: first.at + .milliseconds(20)).isEmpty)
        #expect(bench.sender.deadline == first.at + .milliseconds(40))
        let late = first.at + .milliseconds(27)
        try await bench.play(milliseconds: 20)
        #expect(try #require(bench.sender.deadline) <= late)
        let second = try #require(bench.frames(at: late).first)
        #expect(second.timestamp == first.frame.timestamp &+ 960, "it follows on")
        #expect(!second.startsTalking)
        #expect(bench.sender.deadline == first.at + .milliseconds(41))
        // Nothing comes any more.
        let rest = bench.ticks(10)
        #expect(rest.map { $0.at - first.at } == [.milliseconds(61), .milliseconds(81)])
        #expect(rest.map { $0.frame.timestamp &- second.timestamp } == [960, 1920])
        #expect(bench.sender.deadline == nil)
    }

    @Test("what is a little late is sent on the grid, a millisecond after it comes")
    func littleLate() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20)
        let first = try #require(bench.ticks(2).first)
        #expect(bench.frames(at: first.at + .milliseconds(20)).isEmpty)
        bench.now = first.at + .microseconds(20_300)
        try await bench.play(milliseconds: 20)
        #expect(bench.frames(at: bench.now).isEmpty)
        #expect(bench.sender.deadline == first.at + .milliseconds(21))
        #expect(bench.ticks(1).count == 1)
    }

    /// Feeds a frame at each of `arrivals`, in milliseconds.
    private func departures(
        _ bench: Bench, _ arrivals: [Double]
    ) async throws -> [(at: MonotonicTime, frame: AudioSender.Frame)] {
        var sent: [(at: MonotonicTime, frame: AudioSender.Frame)] = []
        for arrival in arrivals {
            let time = MonotonicTime(nanoseconds: Int64(arrival * 1e6))
            while let deadline = bench.sender.deadline, deadline < time {
                sent += bench.frames(at: deadline).map { (deadline, $0) }
            }
            bench.now = time
            try await bench.play(milliseconds: 20)
            sent += bench.frames(at: time).map { (time, $0) }
        }
        return sent
    }

    /// How long each of these waits, in milliseconds.
    private func delays(_ bench: Bench, _ arrivals: [Double]) async throws -> [Double] {
        let sent = try await departures(bench, arrivals)
        #expect(sent.count >= arrivals.count - 1)
        #expect(zip(sent, sent.dropFirst()).allSatisfy { $1.frame.timestamp &- $0.frame.timestamp == 960 })
        return zip(sent, arrivals).map { Double($0.at.nanoseconds) / 1e6 - $1 }
    }

    @Test("what is late once makes nothing after it late, but 1 ms that wears off", arguments: [5, 10, 18] as [Double])
    func lateOnce(lateness: Double) async throws {
        let bench = try Bench()
        let delays = try await delays(bench, (0..<600).map { Double($0) * 20 + ($0 == 3 ? lateness : 0) })
        let usual = delays[2]
        #expect((1...5).contains(usual))
        #expect(delays[3] == max(0, usual - lateness))
        #expect(delays[4] == (lateness > usual ? usual + 1 : usual))
        // 1 ms in a fifth of a second, and not more.
        #expect(delays[14] == max(0, delays[4] - 1))
        #expect(delays[24] == max(0, delays[14] - 1))
        #expect(delays.suffix(100).allSatisfy { (0...2).contains($0) })
        // The next talkspurt is in real time.
        _ = bench.ticks(10)
        bench.now = bench.now + .milliseconds(1234)
        try await bench.play(milliseconds: 100)
        let next = try #require(bench.ticks(1).first)
        #expect(next.frame.timestamp == bench.sender.timestamp(at: next.at))
        #expect(next.frame.startsTalking)
    }

    @Test("what is late again and again is waited for: one frame in a hundred is uneven, and waits are half the jitter")
    func jitter() async throws {
        let bench = try Bench()
        var random = Seeded(5)
        let arrivals = (0..<3000).map { Double($0) * 20 + random.unit() * 10 }
        let departures = zip(arrivals, try await delays(bench, arrivals)).map { $0 + $1 }
        let uneven = zip(departures, departures.dropFirst()).count { abs($1 - $0 - 20) > 2.5 }
        #expect(uneven < 3000 / 100, "\(uneven)")
        let waits = zip(departures, arrivals).map { $0 - $1 }.sorted()
        #expect(waits[1500] <= 5, "\(waits[1500])")
        #expect(waits.allSatisfy { $0 <= 11 }, "\(waits.last ?? 0)")
    }

    @Test("what a stall leaves in unbroken sound leaves a millisecond sooner each, until it is gone")
    func stallInSound() async throws {
        let bench = try Bench()
        // What should have come in 100 ms comes after them.
        let arrivals = (0..<600).map { Double((100..<105).contains($0) ? 2100 : $0 * 20) }
        let sent = try await departures(bench, arrivals)
        let after = sent.filter { $0.at > .zero + .milliseconds(2100) }
        let gaps = zip(after, after.dropFirst()).map { $1.at - $0.at }
        #expect(zip(after, after.dropFirst()).allSatisfy { $1.frame.timestamp &- $0.frame.timestamp == 960 })
        #expect(gaps.allSatisfy { $0 == .milliseconds(20) || $0 == .milliseconds(19) })
        #expect((95...105).contains(gaps.count { $0 == .milliseconds(19) }))
        #expect(bench.queue.queuedSamples <= 320)
    }

    @Test("a mark behind the last word is reached, though the sender then rests")
    func lastMark() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        let mark = bench.queue.mark()
        let sent = bench.ticks(100)
        #expect(sent.count == 7)
        #expect(bench.sender.deadline == nil)
        #expect(await mark.outcome == .played)
    }

    @Test("a mark that the sender before has left behind is reached when the next begins")
    func inheritedMark() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 20)
        #expect(bench.ticks(2).count == 1)
        let mark = bench.queue.mark()
        var random = RandomSource.seeded(2)
        _ = try AudioSender(
            rate: 16_000, queue: bench.queue, settings: EncoderSettings(), randomness: &random, now: bench.now)
        #expect(await mark.outcome == .played)
    }

    @Test("with DTX frames in which nothing changes are left out, and the others keep their times")
    func discontinuousTransmission() async throws {
        var counts: [Int] = []
        for usesDTX in [false, true] {
            let bench = try Bench()
            var parameters = OpusParameters()
            parameters.useDTX = usesDTX
            bench.sender.adapt(to: parameters)
            try await bench.play(milliseconds: 200)
            var random = Seeded(3)
            try await bench.queue.play((0..<16_000 * 4).map { _ in Int16.random(in: -80...80, using: &random) })
            let sent = bench.ticks(210)
            for (at, frame) in sent { #expect(frame.timestamp == bench.sender.timestamp(at: at)) }
            if usesDTX { #expect(sent.allSatisfy { $0.frame.payloadLength > 2 }) }
            counts.append(sent.count)
        }
        #expect(counts[0] == 210)
        #expect(counts[1] < 100)
    }

    @Test("copies are sent while the peer loses packets and can use them", arguments: [true, false])
    func forwardErrorCorrection(takesFEC: Bool) throws {
        let bench = try Bench()
        var parameters = OpusParameters()
        parameters.useInbandFEC = takesFEC
        bench.sender.adapt(to: parameters)
        #expect(!bench.sender.sendsFEC)
        for _ in 0..<10 { bench.sender.peerLoses(fraction: 26) }
        #expect(bench.sender.sendsFEC == takesFEC)
        // A peer that describes itself anew changes its mind.
        parameters.useInbandFEC = !takesFEC
        bench.sender.adapt(to: parameters)
        #expect(bench.sender.sendsFEC == !takesFEC)
        for _ in 0..<20 { bench.sender.peerLoses(fraction: 0) }
        #expect(!bench.sender.sendsFEC)
    }

    @Test("the first sequence number is below 2^15, so that no wrap hides behind lost packets (RFC 3711 §3.3.1)")
    func firstSequenceNumber() throws {
        var numbers: Set<UInt16> = []
        for seed in 0..<50 as Range<UInt64> {
            let sender = try Bench(seed: seed).sender
            let first = sender.takeSequenceNumber()
            #expect(first < 0x8000)
            #expect(sender.takeSequenceNumber() == first &+ 1)
            numbers.insert(first)
        }
        #expect(numbers.count > 45)
    }

    @Test("the RTP clock of a report is that of the frames, through hours")
    func reportClock() async throws {
        let bench = try Bench()
        try await bench.play(milliseconds: 100)
        let first = bench.ticks(1)[0]
        #expect(bench.sender.timestamp(at: first.at) == first.frame.timestamp)
        for time in [Duration.microseconds(125), .milliseconds(7), .seconds(3600 * 30), .seconds(86_400 * 365)] {
            let ticks = time.nanoseconds / 1000 * 48 / 1000
            #expect(
                bench.sender.timestamp(at: first.at + time)
                    == first.frame.timestamp &+ UInt32(truncatingIfNeeded: ticks))
        }
    }

    @Test("the peer's maxaveragebitrate is kept to")
    func bitrate() async throws {
        var sizes: [Int] = []
        for limit in [nil, 8000] {
            let bench = try Bench()
            var parameters = OpusParameters()
            parameters.maxAverageBitrate = limit
            bench.sender.adapt(to: parameters)
            #expect(bench.sender.bitrate == limit ?? 32_000)
            try await bench.play(milliseconds: 2000)
            sizes.append(bench.ticks(100).reduce(0) { $0 + $1.frame.payloadLength })
        }
        #expect(sizes[1] * 2 < sizes[0])
        #expect(sizes[1] * 4 <= 8000 * 11 / 10)
    }
}
