import Audio
import Testing
import Wire

@testable import WebRTC

@Suite("What a receiver puts in the place of lost packets")
struct AudioReceiverLossTests {
    @Test("a gap waits as long as the call's reordering needs, to the nanosecond")
    func hold() throws {
        let bench = try ReceiverBench()
        bench.feed(0..<1)
        bench.feed(2)
        let hold = bench.receiver.reorderHold
        #expect(hold > .milliseconds(39) && hold <= .milliseconds(40))
        let end = bench.now + hold
        #expect(bench.receiver.deadline == end)
        bench.receiver.handleTimeout(now: MonotonicTime(nanoseconds: end.nanoseconds - 1))
        #expect(bench.receiver.framesConcealed == 0)
        bench.receiver.handleTimeout(now: end)
        #expect(bench.receiver.framesConcealed == 1)
    }

    @Test("a call whose packets come out of order soon waits long enough for them", arguments: [10, 30, 60, 90])
    func adaptation(delay: Int) async throws {
        let bench = try ReceiverBench()
        // Of ten packets one is late.
        var arrivals: [(at: Int, number: Int)] = []
        for number in 0..<1000 { arrivals.append((number * 20 + (number % 10 == 5 ? delay : 0), number)) }
        for (at, number) in arrivals.sorted(by: { $0.at < $1.at }) {
            bench.wait(Double(at) - bench.now.nanoseconds.milliseconds)
            bench.feed(number)
        }
        #expect(bench.receiver.packetsLate <= 3)
        #expect(bench.receiver.framesConcealed <= 3)
        #expect(bench.receiver.reorderHold <= .milliseconds(max(40, min(delay * 2 + 5, 200))))
    }

    @Test("a lost packet is made up from the copy in the next, not from what came before (RFC 6716 §2.1.7)")
    func forwardErrorCorrection() async throws {
        let bench = try ReceiverBench(Packets.onset(at: 25))
        bench.feed(0..<25)
        bench.wait(20)
        bench.feed(26..<50)
        #expect(bench.receiver.framesRecovered == 1)
        let heard = await bench.heard()
        // What stopped was quiet, so that silence was made first; the copy comes all the same.
        #expect(heard.count == 51)
        #expect(heard.allSatisfy { !$0.concealed })
        #expect(heard[25].silent && heard[26].loudness > heard[24].loudness * 20)
    }

    @Test("and by the codec's guess where there is no copy")
    func guess() async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<25)
        bench.wait(20)
        bench.feed(26..<50)
        #expect(bench.receiver.framesRecovered == 0)
        let heard = await bench.heard()
        #expect(heard.count == 50)
        #expect(heard.indices.filter { heard[$0].concealed } == [25])
        #expect(heard[25].loudness > heard[24].loudness / 4)
    }

    @Test(
        "the codec guesses up to 120 ms of a gap, then comes silence, and a copy right before the packet it came in",
        arguments: [
            (1, false, "g"), (3, false, "ggg"), (6, false, "gggggg"), (7, false, "gggggg."), (10, false, "gggggg...."),
            (25, false, "gggggg..................."), (1, true, "x"), (2, true, "gx"), (3, true, "ggx"),
            (7, true, "ggggggx"), (10, true, "gggggg...x"), (25, true, "gggggg..................x"),
        ])
    func gap(lost: Int, hasCopy: Bool, expected: String) async throws {
        let bench = try ReceiverBench(hasCopy ? Packets.voice : Packets.tone)
        let found = (10 + lost..<60).first { number in
            let packet = bench.packets[number]
            return Opus.carriesCopy(packet.span) == hasCopy
        }
        let next = try #require(found)
        bench.feed(0..<next - lost)
        // The owner was away, so that nothing was made meanwhile.
        bench.sleep(20 * lost)
        for number in next..<next + 10 { bench.feed(number) }
        bench.receiver.handleTimeout(now: bench.now + bench.receiver.reorderHold)
        #expect(bench.receiver.framesRecovered == (hasCopy ? 1 : 0))
        #expect(bench.receiver.framesConcealed == expected.count { $0 == "g" })
        let kinds = await bench.heard().kinds
        #expect(kinds == String(repeating: "x", count: next - lost) + expected + String(repeating: "x", count: 10))
    }

    @Test("a lost packet of 60 ms is three frames", arguments: [false, true])
    func longPackets(hasCopy: Bool) async throws {
        let bench = try ReceiverBench(hasCopy ? Packets.voice : Packets.tone)
        for number in 0..<20 where number != 10 {
            bench.now = .zero + .milliseconds(60 * number)
            bench.receiver.handleTimeout(now: bench.now)
            let packet = Packets.joined(bench.packets[number * 3..<number * 3 + 3])
            bench.feed(UInt16(number), UInt32(number * 2880), packet)
        }
        bench.wait(60)
        #expect(bench.receiver.packetsMalformed == 0)
        let heard = await bench.heard()
        #expect(heard.indices.filter { heard[$0].concealed } == [30, 31, 32])
        #expect(heard.count == 60)
    }

    @Test("a pause of the sender is no loss: numbers go on, and time jumps", arguments: [1, 5, 20, 100])
    func discontinuousTransmission(pause: Int) async throws {
        let bench = try ReceiverBench(Packets.toneThenSilence)
        bench.feed(0..<12)
        bench.wait(Double(20 * pause))
        // The tone again.
        for number in 12..<20 {
            bench.feed(UInt16(number), UInt32((number + pause) * 960), Packets.tone[number])
            bench.wait(20)
        }
        #expect(bench.receiver.framesConcealed == 0)
        let kinds = await bench.heard().kinds
        #expect((18 + pause...20 + pause).contains(kinds.count))
        #expect(kinds.hasSuffix("xxxxxxx"))
    }

    @Test("a pause that nobody saw pass is silence, as long as it was", arguments: [(1, 1), (20, 20), (49, 49)])
    func pauseWhileAway(pause: Int, silent: Int) async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<12)
        bench.sleep(20 * pause)
        bench.feed(12..<20, pause: pause)
        #expect(bench.receiver.framesConcealed == 0)
        #expect(await bench.heard().count == 20 + silent)
    }

    @Test(
        "of a pause in which packets were lost, no more is guessed than they can have held: at its end after quiet, else at once",
        arguments: [
            (true, 2, 20, String(repeating: ".", count: 20) + "gg"),
            (false, 2, 20, "ggx" + String(repeating: ".", count: 19)),
            (true, 8, 20, String(repeating: ".", count: 22) + "gggggg"),
            (true, 1, 5, ".....g"), (false, 1, 5, "gx...."),
        ])
    func lossInPause(isQuiet: Bool, lost: Int, pause: Int, expected: String) async throws {
        let bench = try ReceiverBench(isQuiet ? Packets.toneThenSilence : Packets.tone)
        bench.feed(0..<12)
        bench.sleep(20 * (lost + pause))
        for number in 12 + lost..<20 + lost {
            bench.feed(UInt16(number), UInt32((number + pause) * 960), Packets.tone[number])
        }
        bench.receiver.handleTimeout(now: bench.now + bench.receiver.reorderHold)
        // The end of a sound reaches through the resampler into the silence behind it.
        let kinds = await bench.heard().kinds
        #expect(kinds.dropFirst(12).hasPrefix(expected), "\(kinds)")
        #expect(kinds.count == 20 + lost + pause)
    }

    @Test(
        "a stop in the middle of a sound: guesses as time goes on, then silence, and what comes is played whole",
        arguments: [(0, 0), (0, 25), (25, 0), (10, 10)])
    func stop(lost: Int, pause: Int) async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.wait(480)
        // Once they have faded away it may be one less.
        #expect((5...6).contains(bench.receiver.framesConcealed))
        bench.feed(10 + lost..<30 + lost, pause: pause)
        bench.wait(60)
        #expect((5...6).contains(bench.receiver.framesConcealed))
        let kinds = await bench.heard().kinds
        #expect(kinds.hasPrefix("xxxxxxxxxxggggg"), "\(kinds)")
        #expect(kinds.dropFirst(16).hasPrefix("............"), "\(kinds)")
        let sound = kinds.drop { $0 != "." }.count { $0 == "x" }
        #expect((20...21).contains(sound), "\(kinds)")
    }

    @Test(
        "where sound came late before, more is waited for it, a quarter more than it was late, up to 240 ms",
        arguments: [(100, 10, 120...130), (200, 10, 210...240), (400, 10, 210...240), (400, 2500, 80...85)])
    func patience(stall: Int, packets: Int, expected: ClosedRange<Int>) throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.wait(Double(stall))
        let before = bench.receiver.framesConcealed
        #expect(before > 0)
        bench.feed(10..<10 + packets)
        #expect(bench.receiver.framesConcealed == before)
        var waited = 0
        while bench.receiver.framesConcealed == before, waited < 1000 {
            bench.wait(1)
            waited += 1
        }
        #expect(expected.contains(waited), "\(waited)")
    }

    @Test("silence behind guesses, or behind a sound that ends, is marked as silence, but for the codec's last tail")
    func marking() async throws {
        for ends in [false, true] {
            let bench = try ReceiverBench(Packets.voice)
            bench.feed(0..<50)
            if ends { bench.receiver.skip(sequenceNumber: 50, now: bench.now) }
            bench.wait(2000)
            let kinds = await bench.heard().kinds
            #expect(kinds.suffix(80) == String(repeating: ".", count: 80), "\(kinds)")
        }
    }

    @Test("a packet without sound ends the guessing: the sender is there, and says nothing")
    func skipEndsGuessing() throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.receiver.skip(sequenceNumber: 10, now: bench.now)
        bench.wait(500)
        #expect(bench.receiver.framesConcealed == 0)
    }

    @Test("guesses come when the silence would have: 80 ms after the last sound")
    func guessInTime() throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        // The last sound was heard until now.
        bench.wait(79)
        #expect(bench.receiver.framesConcealed == 0)
        for frame in 1...5 {
            bench.wait(frame == 1 ? 1 : 20)
            #expect(bench.receiver.framesConcealed == frame)
        }
        bench.wait(1000)
        #expect(bench.receiver.framesConcealed <= 6)
    }

    @Test("after a quiet frame comes silence at once: the sender rests")
    func rest() async throws {
        let bench = try ReceiverBench(Packets.toneThenSilence)
        bench.feed(0..<12)
        bench.wait(1000)
        #expect(bench.receiver.framesConcealed == 0)
        let kinds = await bench.heard().kinds
        #expect((58...62).contains(kinds.count))
        #expect(kinds.dropFirst(12).allSatisfy { $0 == "." })
    }

    @Test(
        "sound that comes late is played whole, and pauses are shortened until no delay stays",
        arguments: [200, 400, 800])
    func lateSound(stall: Int) async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.wait(Double(stall))
        for number in 10..<10 + stall / 20 { bench.feed(number) }
        var number = 10 + stall / 20
        // Of each 500 ms 200 are a pause.
        for _ in 0..<8 {
            for place in 0..<25 {
                let payload = place < 15 ? Packets.tone[place] : Packets.toneThenSilence[place + 20]
                bench.feed(UInt16(number), UInt32(number * 960), payload)
                bench.wait(20)
                number += 1
            }
        }
        let frames = Int((bench.now - MonotonicTime.zero).nanoseconds / 20_000_000)
        let kinds = await bench.heard().kinds
        #expect((frames - 5...frames + 7).contains(kinds.count), "\(kinds.count) frames in the time of \(frames)")
        // The tone whole: all of it but its quiet ends.
        #expect(kinds.count { $0 == "x" } >= 10 + stall / 20 + 8 * 15 - 8, "\(kinds)")
    }

    @Test("each stop has guesses of its own, and 120 ms is all for one stop and the gap behind it")
    func secondStop() throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.wait(120)
        #expect(bench.receiver.framesConcealed == 3)
        bench.feed(30..<40)
        bench.wait(60)
        #expect(bench.receiver.framesConcealed == 6)
        bench.wait(1000)
        #expect((11...12).contains(bench.receiver.framesConcealed))
    }
}

extension Int64 {
    /// Of nanoseconds.
    fileprivate var milliseconds: Double { Double(self) / 1e6 }
}
