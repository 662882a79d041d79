import Audio
import Testing
import Wire

@testable import WebRTC

@Suite("Receiving audio")
struct AudioReceiverTests {
    @Test("a packet in order is a frame at once")
    func inOrder() async throws {
        let bench = try ReceiverBench()
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
        let ordered = try ReceiverBench()
        let swapped = try ReceiverBench()
        for number in 0..<20 {
            ordered.feed(number)
            swapped.feed(number == 9 ? 10 : number == 10 ? 9 : number)
            ordered.wait(20)
            swapped.wait(20)
        }
        #expect(await swapped.heard() == ordered.heard())
    }

    @Test("a packet that comes twice is not played again, nor one too late, which is counted")
    func late() async throws {
        let bench = try ReceiverBench()
        for number in [0, 1, 1, 2, 0, 4] { bench.feed(number) }
        #expect(bench.receiver.packetsLate == 0)
        bench.wait(41)
        #expect(bench.receiver.framesConcealed == 1)
        for number in [3, 3, 5] { bench.feed(number) }
        #expect(bench.receiver.packetsLate == 1)
        #expect(await bench.heard().kinds == "xxxgxx")
    }

    @Test("one that waits and comes again is kept once")
    func duplicateInRing() async throws {
        let bench = try ReceiverBench()
        for number in [0, 2, 2, 1, 3] { bench.feed(number) }
        #expect(await bench.heard().count == 4)
    }

    @Test("each gap waits from when it was seen, so that many gaps do not add up")
    func manyGaps() throws {
        let bench = try ReceiverBench()
        for number in stride(from: 0, to: 80, by: 2) {
            bench.feed(number)
            bench.wait(40)
        }
        // What is heard is never further behind than one wait.
        #expect(bench.receiver.framesConcealed >= 38)
    }

    @Test(
        "packets of 2.5 to 120 ms become frames of 20 ms",
        arguments: [
            (120, [0xe0, 0xff, 0xfe]), (240, [0xe8, 0xff, 0xfe]),
            (480, [0xf0, 0xff, 0xfe]), (960, [0xf8, 0xff, 0xfe]), (1920, [0xf9, 0xff, 0xfe, 0xff, 0xfe]),
            (2880, [0xfb, 3, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfe]), (5760, [0xe3, 48]),
        ] as [(Int, [UInt8])])
    func packetTimes(samples: Int, payload: [UInt8]) async throws {
        let bench = try ReceiverBench()
        let packets = 96_000 / samples
        for number in 0..<packets {
            bench.feed(UInt16(number), UInt32(number * samples), payload)
            bench.wait(Double(samples) / 48)
        }
        let frames = await bench.heard().count
        // With packets of 120 ms silence is made first, and the pause shortened later.
        #expect((packets * samples / 960...packets * samples / 960 + 4).contains(frames), "\(frames)")
        #expect(bench.receiver.packetsMalformed == 0)
    }

    @Test("numbers that jump ahead do not stop the sound", arguments: [32, 1001, 32_000])
    func jumpAhead(steps: Int) async throws {
        let bench = try ReceiverBench()
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
        let bench = try ReceiverBench()
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
        let bench = try ReceiverBench()
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
        let bench = try ReceiverBench()
        for number in 0..<30 {
            if (10..<15).contains(number) {
                bench.receiver.skip(sequenceNumber: UInt16(number), now: bench.now)
            } else {
                bench.feed(number)
            }
            bench.wait(20)
        }
        let heard = await bench.heard()
        #expect(heard.count == 30)
        let kinds = heard.kinds
        #expect(
            !kinds.contains("g") && kinds.prefix(10) + kinds.suffix(15) == String(repeating: "x", count: 25), "\(kinds)"
        )
        // The resampler's end reaches into the silence.
        #expect((4...5).contains(kinds.count { $0 == "." }), "\(kinds)")
    }

    @Test("while nothing comes there is silence, a frame each 20 ms, 60 ms late at most")
    func silence() async throws {
        let bench = try ReceiverBench()
        bench.wait(1000)
        bench.feed(500)
        bench.wait(1000)
        let heard = await bench.heard()
        #expect((92...100).contains(heard.count))
        // The resampler's end of it reaches into the next frame.
        #expect((1...2).contains(heard.count { !$0.silent }))
    }
}
