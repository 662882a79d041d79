import Audio
import TestSupport
import Testing
import Wire

@testable import WebRTC

@Suite("Copies of packets within later ones (RFC 2198), and levels (RFC 6464)")
struct AudioReceiverCopyTests {
    @Test("a copy fills a gap at once, as if nothing had been lost", arguments: [1, 2, 3])
    func fills(lost: Int) async throws {
        let bench = try ReceiverBench()
        let whole = try ReceiverBench()
        for number in 0..<30 {
            whole.feed(number)
            whole.wait(20)
            if !(10..<10 + lost).contains(number) {
                if number == 10 + lost {
                    for copy in 10..<10 + lost { bench.feed(copy, isCopy: true) }
                    #expect(bench.receiver.framesRecovered == lost)
                }
                bench.feed(number)
            }
            bench.wait(20)
        }
        #expect(bench.receiver.framesRecovered == lost)
        #expect(bench.receiver.packetsLate == 0)
        let (heard, reference) = (await bench.heard(), await whole.heard())
        #expect(heard == reference)
    }

    @Test("with a copy of each packet in the next, every second packet may be lost")
    func everySecond() async throws {
        let bench = try ReceiverBench()
        for number in 0..<100 {
            if number % 2 == 0 {
                if number > 0 { bench.feed(number - 1, isCopy: true) }
                bench.feed(number)
            }
            bench.wait(20)
        }
        #expect(bench.receiver.framesConcealed == 0)
        #expect(bench.receiver.framesRecovered == 49)
        #expect(await bench.heard().kinds == String(repeating: "x", count: 99))
    }

    @Test("a copy too late, or of what came, is ignored, and not counted as late")
    func late() async throws {
        let bench = try ReceiverBench()
        bench.feed(7, isCopy: true)  // before there is a stream
        for number in 0..<30 {
            bench.feed(number)
            for copy in max(0, number - 3)...number { bench.feed(copy, isCopy: true) }
            bench.wait(20)
        }
        #expect(bench.receiver.packetsLate == 0)
        #expect(bench.receiver.framesRecovered == 0)
        #expect(bench.receiver.packetsMalformed == 0)
        #expect(await bench.heard().kinds == String(repeating: "x", count: 30))
    }

    @Test("a copy of a packet whose time was filled otherwise is ignored")
    func timePassed() async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.wait(480)
        bench.feed(10, isCopy: true)
        #expect(bench.receiver.framesRecovered == 0)
        #expect(bench.receiver.packetsLate == 0)
        bench.feed(35..<40)
        #expect(bench.receiver.framesConcealed == 6)
    }

    @Test("copies that contradict the order, or hold nothing, are ignored and do no harm", arguments: [0, 5, 9])
    func inverted(time: Int) async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.feed(10, UInt32(time * 960), bench.packets[10], isCopy: true)
        bench.feed(10, 10 * 960, [], isCopy: true)
        bench.feed(10..<20)
        #expect(bench.receiver.framesRecovered == 0)
        #expect(bench.receiver.packetsMalformed == 0)
        #expect(await bench.heard().kinds == String(repeating: "x", count: 20))
    }

    @Test("copies ahead of a packet that is still missing wait with it", arguments: [true, false])
    func waits(comes: Bool) async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.feed(11, isCopy: true)
        bench.feed(12)
        #expect(bench.receiver.framesRecovered == 0)
        if comes { bench.feed(10) } else { bench.wait(41) }
        #expect(bench.receiver.framesRecovered == 1)
        #expect(bench.receiver.framesConcealed == (comes ? 0 : 1))
        #expect(await bench.heard().kinds == "xxxxxxxxxx" + (comes ? "x" : "g") + "xx")
    }

    @Test("the packet itself, behind its copy, is not played again")
    func originalBehindCopy() async throws {
        let bench = try ReceiverBench()
        bench.feed(0..<10)
        bench.feed(10, isCopy: true)
        bench.feed(11)
        bench.feed(10)
        bench.feed(12)
        #expect(await bench.heard().kinds == String(repeating: "x", count: 13))
    }

    @Test("numbers and times may wrap between a copy and its packet")
    func wrap() async throws {
        let bench = try ReceiverBench()
        for number in 0..<20 where number % 3 != 2 {
            if number % 3 == 0, number > 0 {
                bench.feed(number - 1, first: 65_530, firstTimestamp: .max - 960 * 5, isCopy: true)
            }
            bench.feed(number, first: 65_530, firstTimestamp: .max - 960 * 5)
            bench.wait(20)
        }
        #expect(bench.receiver.framesConcealed == 0)
        #expect(bench.receiver.framesRecovered == 6)
        #expect(bench.receiver.packetsLate == 0)
    }

    @Test("random copies among a stream do no harm")
    func random() async throws {
        let bench = try ReceiverBench()
        var random = Seeded(21)
        for number in 0..<200 {
            for _ in 0..<5 {
                let payload = random.bytes(Int.random(in: 0...30, using: &random))
                let (number, time) = (UInt16.random(in: 0...65_535, using: &random), UInt32(random.next() >> 32))
                bench.feed(number, time, payload, isCopy: true)
            }
            bench.feed(number)
            bench.wait(20)
        }
        #expect(bench.receiver.packetsLate < 100)
        _ = await bench.heard()
    }

    @Test("what a packet says of its level is on the frame that begins in it, also behind a gap; silence has none")
    func level() async throws {
        let bench = try ReceiverBench()
        let levels: [UInt8?] = [0x85, nil, 0x7f, 0, 0xff]
        for number in 0..<20 where number != 12 {
            bench.feed(UInt16(number), UInt32(number * 960), bench.packets[number], level: levels[number % 5])
            if number != 11 { bench.wait(20) }
        }
        bench.wait(1000)
        let heard = await bench.heard()
        for number in 0..<20 {
            #expect(heard[number].level == (number == 12 ? nil : levels[number % 5]), "frame \(number)")
        }
        #expect(heard.dropFirst(20).allSatisfy { $0.level == nil })
    }

    @Test("silence between two packets has no level of its own")
    func levelOfSilence() async throws {
        let bench = try ReceiverBench()
        bench.feed(0, 0, bench.packets[0], level: 0x85)
        bench.sleep(120)
        bench.feed(1, 6 * 960, bench.packets[1], level: 0x86)
        #expect(await bench.heard().map(\.level) == [0x85, nil, nil, nil, nil, nil, 0x86])
    }
}
