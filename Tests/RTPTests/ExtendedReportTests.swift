import RTP
import Testing
import Wire

private typealias Delay = DelaySinceLastReceiverReport

private let referenceTime: [UInt8] = [4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]
private let reference = RTCPPacket.receiverReferenceTime(ssrc: 7, ntpTimestamp: 0x0102_0304_0506_0708)

/// An extended report of SSRC 7, with the length that its blocks ask for.
private func report(_ blocks: [UInt8]) -> [UInt8] {
    [0x80, 207, 0, UInt8(1 + blocks.count / 4), 0, 0, 0, 7] + blocks
}

@Suite("Extended reports, RFC 3611")
struct ExtendedReportTests {
    @Test("reference times and delays are read byte for byte")
    func parsing() throws {
        #expect(try rtcp(report(referenceTime)) == [reference])
        let delays: [UInt8] = [
            5, 0, 0, 6, 0x11, 0x11, 0x22, 0x22, 0xb7, 0x05, 0x20, 0, 0, 5, 0x40, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0,
        ]
        let expected = RTCPPacket.delaySinceLastReceiverReport([
            Delay(ssrc: 0x1111_2222, lastReceiverReport: 0xb705_2000, delay: 0x0005_4000),
            Delay(ssrc: 9, lastReceiverReport: 0, delay: 0),
        ])
        #expect(try rtcp(report(delays)) == [expected])
        #expect(try rtcp(report(delays + referenceTime)) == [expected, reference])
    }

    @Test(
        "what is unknown or of a wrong length is passed over, and what reaches past the end ends it",
        arguments: [
            ([], []), ([1, 0, 0, 0] + referenceTime, [reference]),
            ([7, 0, 0, 1, 9, 9, 9, 9] + referenceTime, [reference]),
            ([4, 0, 0, 1, 9, 9, 9, 9] + referenceTime, [reference]),
            ([4, 0, 0, 3] + [UInt8](repeating: 9, count: 12) + referenceTime, [reference]),
            ([5, 0, 0, 0] + referenceTime, [reference]),
            ([5, 0, 0, 2, 9, 9, 9, 9, 9, 9, 9, 9] + referenceTime, [reference]),
            (referenceTime + [4, 0, 0, 2, 9, 9, 9, 9], [reference]), (referenceTime + [5, 0, 0xff, 0xff], [reference]),
            ([7, 0, 0xff, 0xff] + referenceTime, []),
            (
                [5, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9] + referenceTime,
                [.delaySinceLastReceiverReport([Delay(ssrc: 1, lastReceiverReport: 2, delay: 3)]), reference]
            ),
        ] as [([UInt8], [RTCPPacket])])
    func hostile(blocks: [UInt8], expected: [RTCPPacket]) throws {
        #expect(try rtcp(report(blocks)) == expected)
    }

    @Test("an extended report without an SSRC says nothing, one with padding ends before it")
    func bounds() throws {
        #expect(try rtcp([0x80, 207, 0, 0]) == [])
        let padded = [0xa0, 207, 0, 5, 0, 0, 0, 7] + referenceTime + [0, 0, 0, 4] as [UInt8]
        #expect(try rtcp(padded) == [reference])
        let cut = [0xa0, 207, 0, 4, 0, 0, 0, 7] + Array(referenceTime.dropLast()) + [4] as [UInt8]
        #expect(try rtcp(cut) == [], "the block reaches into the padding")
    }

    @Test("of a list of delays 31 are read")
    func many() throws {
        let entries = [UInt8](repeating: 1, count: 12 * 60)
        let packets = try rtcp(report([5, 0, 0, 180] + entries))
        guard case .delaySinceLastReceiverReport(let delays) = packets.first else {
            Issue.record("not read")
            return
        }
        #expect(packets.count == 1 && delays.count == 31)
    }

    @Test("both are written between the CNAME and the BYE", arguments: [true, false], [true, false])
    func writing(hasTime: Bool, hasDelay: Bool) throws {
        let delay = Delay(ssrc: 0x1111_2222, lastReceiverReport: 5, delay: 6)
        var bytes: [UInt8] = []
        RTCPWriter.write(
            ssrc: 7, report: nil, blocks: [], cname: "a", referenceTime: hasTime ? 0x0102_0304_0506_0708 : nil,
            delay: hasDelay ? delay : nil, isLeaving: true, into: &bytes)
        let delayBytes: [UInt8] = [5, 0, 0, 3, 0x11, 0x11, 0x22, 0x22, 0, 0, 0, 5, 0, 0, 0, 6]
        let blocks = (hasTime ? referenceTime : []) + (hasDelay ? delayBytes : [])
        let expected: [UInt8] =
            [0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 202, 0, 2, 0, 0, 0, 7, 1, 1, 0x61, 0]
            + (blocks.isEmpty ? [] : report(blocks)) + [0x81, 203, 0, 1, 0, 0, 0, 7]
        #expect(bytes == expected)
        _ = try rtcp(bytes)
    }
}

@Suite("Round trip by reference times, RFC 3611 §4.4, §4.5")
struct ReferenceTimeExchangeTests {
    @Test("a reference time is given back with how long it was held, the last one counts")
    func delay() {
        var exchange = ReferenceTimeExchange()
        #expect(exchange.makeDelay(at: .milliseconds(1)) == nil)
        exchange.receive(referenceTime: 1, from: 3, at: .milliseconds(500))
        exchange.receive(referenceTime: 0x0011_2233_4455_6677, from: 4, at: .milliseconds(1000))
        let delay = exchange.makeDelay(at: .milliseconds(3500))
        #expect(delay == Delay(ssrc: 4, lastReceiverReport: 0x2233_4455, delay: 163_840))
        #expect(exchange.makeDelay(at: .milliseconds(900))?.delay == 0, "a clock that went back")
        #expect(exchange.roundTrip == nil)
    }

    @Test("what the peer gives back tells the round trip, what makes no sense leaves it as it was")
    func roundTrip() {
        var exchange = ReferenceTimeExchange()
        let now: UInt64 = 0xb44d_b710_8000_0000
        exchange.receive(Delay(ssrc: 1, lastReceiverReport: 0, delay: 0), ntpTimestamp: now)
        #expect(exchange.roundTrip == nil, "it has heard none yet")
        exchange.receive(Delay(ssrc: 1, lastReceiverReport: 0xb705_2000, delay: 0x0005_4000), ntpTimestamp: now)
        #expect(exchange.roundTrip == .milliseconds(6125))
        exchange.receive(Delay(ssrc: 1, lastReceiverReport: 1, delay: .max), ntpTimestamp: now)
        #expect(exchange.roundTrip == .milliseconds(6125))
        exchange.receive(Delay(ssrc: 1, lastReceiverReport: 0xb710_8000, delay: 0x10), ntpTimestamp: now)
        #expect(exchange.roundTrip == .zero, "clocks of different speed")
    }

    @Test("two ends measure the same way and back")
    func exchange() throws {
        var (caller, callee) = (ReferenceTimeExchange(), ReferenceTimeExchange())
        let sent: UInt64 = 0xe000_0000_4000_0000
        callee.receive(referenceTime: sent, from: 1, at: .milliseconds(0))
        let delay = try #require(callee.makeDelay(at: .milliseconds(2000)))
        caller.receive(delay, ntpTimestamp: sent + 0x2_4000_0000)
        #expect(caller.roundTrip == .milliseconds(250))
    }
}
