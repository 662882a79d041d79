import RTP
import Testing

private func event(_ code: UInt8, end: Bool = false, duration: UInt16 = 160) -> TelephoneEvent? {
    let payload: [UInt8] = [code, (end ? 0x80 : 0) | 10, UInt8(duration >> 8), UInt8(duration & 255)]
    return TelephoneEvent(parsing: payload.span)
}

@Suite("Telephone events, RFC 4733")
struct TelephoneEventTests {
    @Test("the payload is read")
    func parsing() {
        let parsed = TelephoneEvent(parsing: [11, 0xca, 0x03, 0x20, 99].span)
        #expect(parsed?.event == 11 && parsed?.isEnd == true && parsed?.volume == 10 && parsed?.duration == 800)
        #expect(parsed?.key == "#")
        #expect(TelephoneEvent(parsing: [1, 2, 3].span) == nil)
        #expect(event(0)?.key == "0" && event(10)?.key == "*" && event(15)?.key == "D" && event(16)?.key == nil)
    }

    @Test(
        "a press is reported once",
        arguments: [
            ([(1, false, 0, 0), (1, false, 0, 160), (1, true, 0, 320), (1, true, 0, 320)], "1"),
            ([(1, true, 0, 320)], "1"),  // only the end came through
            ([(1, true, 0, 320), (1, false, 4000, 0), (1, true, 4000, 160)], "11"),
            ([(1, true, 0, 320), (2, false, 4000, 0), (1, true, 0, 320), (2, true, 4000, 160)], "12"),
            ([(5, false, 0, 0xffff), (5, false, 0xffff, 160), (5, true, 0xffff, 320)], "5"),  // a long press
            ([(5, false, 0, 160), (6, false, 0xffff, 160)], "56"),
            ([(5, true, 0, 0xffff), (5, false, 0xffff, 160)], "55"),
            // The end is sent three times, and one of the three comes after the next press.
            ([(1, true, 0, 320), (1, true, 0, 320), (1, true, 0, 320), (1, false, 960, 0), (1, true, 0, 320)], "11"),
            ([(7, false, 0, 160), (7, false, 4000, 160)], "77"),  // the first one's end was lost
            ([(7, false, 0, 160), (8, false, 4000, 160), (7, true, 0, 320)], "78"),
            ([(9, false, 0, 960), (9, true, 0, 1120)], "9"),  // the first packets were lost
            ([(16, false, 0, 160), (16, true, 0, 320), (255, true, 960, 320), (1, true, 1920, 320)], "1"),
            ([(1, true, 480_000, 320), (1, true, 0, 320)], "1"),  // as late as may be
            ([(1, true, 480_001, 320), (1, true, 0, 320), (1, true, 0, 320)], "11"),  // another clock
        ] as [([(UInt8, Bool, UInt32, UInt16)], String)], [0, 0xffff_fff0] as [UInt32])
    func presses(packets: ([(UInt8, Bool, UInt32, UInt16)], String), start: UInt32) {
        var filter = TelephoneEventFilter()
        var keys = ""
        for (code, end, timestamp, duration) in packets.0 {
            guard let event = event(code, end: end, duration: duration), let key = event.key else { continue }
            if filter.isNew(event, ssrc: 7, timestamp: start &+ timestamp) {
                keys.append(key)
            }
        }
        #expect(keys == packets.1)
    }

    @Test("another stream has presses of its own")
    func streams() throws {
        var filter = TelephoneEventFilter()
        let press = try #require(event(3))
        let first = filter.isNew(press, ssrc: 1, timestamp: 100)
        let second = filter.isNew(press, ssrc: 2, timestamp: 100)
        let again = filter.isNew(press, ssrc: 2, timestamp: 100)
        #expect(first && second && !again)
    }
}
