internal import Wire

/// The payload of a telephone-event packet (RFC 4733 §2.3).
///
///     0                   1                   2                   3
///     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |     event     |E|R| volume    |          duration             |
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
package struct TelephoneEvent: Equatable, Sendable {
    /// 0 … 15 are the DTMF keys.
    package var event: UInt8
    package var isEnd: Bool
    /// -dBm0, 0 … 63.
    package var volume: UInt8
    /// Since the packet's timestamp, in ticks of the payload's clock.
    package var duration: UInt16

    /// - Parameter payload: of an RTP packet; bytes past the first four are further events, which are not read.
    package init?(parsing payload: Span<UInt8>) {
        guard let event = payload.byte(at: 0), let flags = payload.byte(at: 1), let duration = payload.uint16(at: 2)
        else { return nil }
        (self.event, isEnd, volume, self.duration) = (event, flags & 0x80 != 0, flags & 0x3f, duration)
    }

    /// The key, `0`-`9 * # A`-`D`; nil for an event that is not DTMF.
    package var key: Character? {
        event < 16 ? Self.keys[Int(event)] : nil
    }

    private static let keys: [Character] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D",
    ]
}

/// Reports each key press once, when its first packet arrives: a press is many packets with one timestamp, the last
/// of them sent three times (RFC 4733 §2.5.1.4). A press whose last packets were lost ends with the next one.
package struct TelephoneEventFilter: Sendable {
    private struct Press {
        var ssrc: UInt32
        var timestamp: UInt32
        var event: UInt8
        var isEnd: Bool
    }

    /// A packet this far back is no repetition that came late: the sender began a new clock. 10 s at 48 000 Hz.
    private static let maximumLateness: Int32 = 480_000

    private var last: Press?

    package init() {}

    /// - Parameters:
    ///   - ssrc: of the packet's header, and `timestamp` too.
    /// - Returns: whether `event` is a press that was not seen before.
    package mutating func isNew(_ event: TelephoneEvent, ssrc: UInt32, timestamp: UInt32) -> Bool {
        let press = Press(ssrc: ssrc, timestamp: timestamp, event: event.event, isEnd: event.isEnd)
        guard let last, last.ssrc == ssrc else {
            self.last = press
            return true
        }
        let step = Int32(bitPattern: timestamp &- last.timestamp)
        if step == 0, last.event == press.event {
            self.last?.isEnd = last.isEnd || press.isEnd
            return false
        }
        guard step > 0 || step < -Self.maximumLateness else { return false }
        self.last = press
        // A press too long for the duration field goes on in a segment that starts where the field ended (§2.5.1.3).
        return !(step == 0xffff && last.event == press.event && !last.isEnd)
    }
}
