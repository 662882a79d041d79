import Audio
import Testing
import Wire

@testable import WebRTC

/// A receiver, and a sender's side to feed it from.
private final class Bench {
    let queue = PCMInputQueue(frameSize: 320, capacity: 2000)
    let receiver: AudioReceiver
    var now = MonotonicTime.zero
    let packets: [[UInt8]]

    /// - Parameter onset: the packet in which a loud tone begins; the packets then carry a copy of the one before.
    init(onset: Int? = nil) throws {
        receiver = try AudioReceiver(rate: 16_000, queue: queue, now: .zero)
        packets = try Bench.packets(onset: onset)
    }

    /// 20 ms packets of a tone.
    private static func packets(onset: Int?) throws -> [[UInt8]] {
        var encoder = try OpusEncoder()
        encoder.setLoss(percentage: onset == nil ? 0 : 30)
        var packet = [UInt8](repeating: 0, count: 500)
        var phase = 0
        return try (0..<100).map { number in
            let loudness = number < onset ?? 0 ? 1 : 200
            let samples = (0..<960).map { index -> Int16 in
                let place = (phase + index) % 160
                return Int16((place < 80 ? place - 40 : 120 - place) * loudness)
            }
            phase += 960
            var span = packet.mutableSpan
            let count = try encoder.encode(samples.span, into: &span)
            return Array(packet.prefix(count))
        }
    }

    /// Packet `number` of the stream, now.
    func feed(_ number: Int, first: UInt16 = 0, firstTimestamp: UInt32 = 0) {
        feed(
            first &+ UInt16(truncatingIfNeeded: number), firstTimestamp &+ UInt32(truncatingIfNeeded: number * 960),
            packets[number % packets.count])
    }

    func feed(_ sequenceNumber: UInt16, _ timestamp: UInt32, _ payload: [UInt8]) {
        receiver.receive(sequenceNumber: sequenceNumber, timestamp: timestamp, payload: payload.span, now: now)
    }

    /// Lets time pass as the owner does.
    func wait(_ milliseconds: Int) {
        let end = now + .milliseconds(milliseconds)
        while receiver.deadline <= end {
            #expect(receiver.deadline > now || now == .zero)
            now = max(now, receiver.deadline)
            receiver.handleTimeout(now: now)
        }
        now = end
    }

    func heard() async -> [PCMInputQueue.Frame] {
        queue.finish()
        var frames: [PCMInputQueue.Frame] = []
        while let frame = await queue.next() { frames.append(frame) }
        for (number, frame) in frames.enumerated() {
            #expect(frame.timestamp == UInt64(number * 960), "timestamps go on in steps of 20 ms")
            #expect(frame.samples.count == 320)
        }
        return frames
    }
}

@Suite("Receiving audio")
struct AudioReceiverTests {
    @Test("a packet in order is a frame at once")
    func inOrder() async throws {
        let bench = try Bench()
        for number in 0..<50 {
            bench.feed(number, first: 65_520, firstTimestamp: .max - 960 * 10)
            bench.wait(20)
        }
        #expect(bench.receiver.packetsLate == 0)
        let heard = await bench.heard()
        #expect(heard.count == 50)
        #expect(heard.allSatisfy { !$0.concealed && !$0.silent })
    }

    @Test("two packets the wrong way round are put right, without waiting for anything else")
    func reordered() async throws {
        let ordered = try Bench()
        let swapped = try Bench()
        for number in 0..<20 {
            ordered.feed(number)
            swapped.feed(number == 9 ? 10 : number == 10 ? 9 : number)
            ordered.wait(20)
            swapped.wait(20)
        }
        #expect(await swapped.heard() == ordered.heard())
    }

    @Test("a packet that comes twice or too late is not played again")
    func late() async throws {
        let bench = try Bench()
        for number in [0, 1, 1, 2, 0, 3] { bench.feed(number) }
        #expect(bench.receiver.packetsLate == 2)
        #expect(await bench.heard().count == 4)
    }

    @Test("one that waits and comes again is kept once")
    func duplicateInRing() async throws {
        let bench = try Bench()
        for number in [0, 2, 2, 1, 3] { bench.feed(number) }
        #expect(await bench.heard().count == 4)
    }

    @Test("a gap waits 40 ms, to the nanosecond")
    func hold() throws {
        let bench = try Bench()
        bench.feed(0)
        bench.wait(20)
        bench.feed(2)
        #expect(bench.receiver.deadline == bench.now + .milliseconds(40))
        bench.receiver.handleTimeout(now: bench.now + .nanoseconds(39_999_999))
        #expect(bench.receiver.framesConcealed == 0)
        bench.receiver.handleTimeout(now: bench.now + .milliseconds(40))
        #expect(bench.receiver.framesConcealed == 1)
    }

    @Test("each gap waits from when it was seen, so that many gaps do not add up")
    func manyGaps() throws {
        let bench = try Bench()
        for number in stride(from: 0, to: 80, by: 2) {
            bench.feed(number)
            bench.wait(40)
        }
        // What is heard is never further behind than one wait.
        #expect(bench.receiver.framesConcealed >= 38)
    }

    @Test("a lost packet is made up from the copy in the next, not from what came before (RFC 6716 §2.1.7)")
    func forwardErrorCorrection() async throws {
        let bench = try Bench(onset: 25)
        for number in 0..<50 {
            if number != 25 { bench.feed(number) }
            bench.wait(20)
        }
        let heard = await bench.heard()
        #expect(heard.count == 50)
        #expect(heard.indices.filter { heard[$0].concealed } == [25])
        #expect(Self.loudness(heard[25]) > Self.loudness(heard[24]) * 20)
    }

    @Test("and by the codec's guess where there is no copy")
    func lossConcealment() async throws {
        let bench = try Bench()
        for number in 0..<50 {
            if number != 25 { bench.feed(number) }
            bench.wait(20)
        }
        let heard = await bench.heard()
        #expect(heard.count == 50)
        #expect(heard.indices.filter { heard[$0].concealed } == [25])
        #expect(Self.loudness(heard[25]) > Self.loudness(heard[24]) / 4)
    }

    @Test(
        "the codec guesses up to 120 ms of a gap, the rest is silence",
        arguments: [(1, 1, 0), (3, 3, 0), (6, 6, 0), (10, 6, 4), (25, 6, 19)])
    func concealment(lost: Int, guessed: Int, silent: Int) async throws {
        let bench = try Bench()
        for number in 0..<10 {
            bench.feed(number)
            bench.wait(20)
        }
        // The owner was away, so that no silence was made meanwhile.
        bench.now = bench.now + .milliseconds(20 * lost)
        for number in 10 + lost..<30 + lost { bench.feed(number) }
        bench.receiver.handleTimeout(now: bench.now + AudioReceiver.hold)
        let heard = await bench.heard()
        #expect(heard.count == 30 + lost)
        #expect(heard.count { $0.concealed } == guessed)
        #expect(heard.dropFirst(10 + guessed).prefix(silent).allSatisfy { $0.silent })
        #expect(heard.suffix(20).allSatisfy { !$0.concealed && !$0.silent })
    }

    @Test(
        "packets of 10, 20, 40, 60 and 120 ms become frames of 20 ms",
        arguments: [
            (480, [0xf0, 0xff, 0xfe]), (960, [0xf8, 0xff, 0xfe]), (1920, [0xf9, 0xff, 0xfe, 0xff, 0xfe]),
            (2880, [0xfb, 3, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfe]), (5760, [0xe3, 48]),
        ] as [(Int, [UInt8])])
    func packetTimes(samples: Int, payload: [UInt8]) async throws {
        let bench = try Bench()
        let packets = 96_000 / samples
        for number in 0..<packets {
            bench.feed(UInt16(number), UInt32(number * samples), payload)
            bench.wait(samples / 48)
        }
        let frames = await bench.heard().count
        // With packets of 120 ms silence is made first, and the pause shortened later.
        #expect((packets * samples / 960...packets * samples / 960 + 4).contains(frames), "\(frames)")
        #expect(bench.receiver.packetsMalformed == 0)
    }

    @Test("numbers that jump ahead do not stop the sound", arguments: [32, 1001, 32_000])
    func jumpAhead(steps: Int) async throws {
        let bench = try Bench()
        for number in 0..<10 {
            bench.feed(number)
            bench.wait(20)
        }
        bench.feed(11)  // waits behind a gap when the jump comes
        for number in 12..<30 {
            bench.feed(UInt16(number + steps), UInt32(number * 960), bench.packets[number])
            bench.wait(20)
        }
        #expect(await bench.heard().count { !$0.silent } == 30)
        #expect(bench.receiver.packetsLate == 0)
    }

    @Test(
        "numbers that jump back, as a sender's that begins anew, do not stop the sound", arguments: [101, 1000, 30_000])
    func jumpBack(steps: Int) async throws {
        let bench = try Bench()
        for number in 0..<10 {
            bench.feed(number, first: 40_000)
            bench.wait(20)
        }
        for number in 10..<30 {
            bench.feed(number, first: UInt16(40_000 - steps), firstTimestamp: 77)
            bench.wait(20)
        }
        #expect(await bench.heard().count { !$0.silent } == 30)
        #expect(bench.receiver.packetsLate == 0)
    }

    @Test("what is no Opus is counted, and its place is silence")
    func malformed() async throws {
        let bench = try Bench()
        for number in 0..<20 {
            if (8..<11).contains(number) {
                bench.feed(UInt16(number), UInt32(number * 960), number == 9 ? [0xff] : [0xfb, 0])
            } else {
                bench.feed(number)
            }
            bench.wait(20)
        }
        #expect(bench.receiver.packetsMalformed == 3)
        #expect(await bench.heard().count == 20)
    }

    @Test("packets without sound keep the order and make none")
    func skipped() async throws {
        let bench = try Bench()
        for number in 0..<30 {
            if (10..<15).contains(number) {
                bench.receiver.skip(sequenceNumber: UInt16(number), now: bench.now)
            } else {
                bench.feed(number)
            }
            bench.wait(20)
        }
        #expect(bench.receiver.framesConcealed == 0)
        let heard = await bench.heard()
        #expect(heard.count == 30)
        #expect((4...5).contains(heard.count { $0.silent }))
    }

    @Test("while nothing comes there is silence, a frame each 20 ms, 60 ms late at most")
    func silence() async throws {
        let bench = try Bench()
        bench.wait(1000)
        bench.feed(500)
        bench.wait(1000)
        let heard = await bench.heard()
        #expect((92...100).contains(heard.count))
        // The resampler's end of it reaches into the next frame.
        #expect((1...2).contains(heard.count { !$0.silent }))
    }

    private static func loudness(_ frame: PCMInputQueue.Frame) -> Int {
        frame.samples.reduce(0) { $0 + abs(Int($1)) }
    }
}
