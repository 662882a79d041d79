import Audio
import Glibc
import Testing
import Wire

@testable import WebRTC

/// Packets of 20 ms to feed a receiver with.
enum Packets {
    /// A steady tone, without copies.
    static let tone = make(copies: false) { _ in 200 }
    /// The same, and nothing at all from the ninth packet on.
    static let toneThenSilence = make(copies: false) { $0 < 8 ? 200 : 0 }
    /// A voice that is never quiet; most packets carry a copy of the one before.
    static let voice: [[UInt8]] = encode((0..<100 * 960).map(voice(at:)), copies: true)

    /// A tone that begins loud at packet `onset`; the packets carry copies.
    static func onset(at onset: Int) -> [[UInt8]] {
        make(copies: true) { $0 < onset ? 1 : 200 }
    }

    private static func make(copies: Bool, loudness: (Int) -> Int) -> [[UInt8]] {
        encode(
            (0..<100 * 960).map { index in
                let place = index % 160
                return Int16((place < 80 ? place - 40 : 120 - place) * loudness(index / 960))
            }, copies: copies)
    }

    private static func voice(at index: Int) -> Int16 {
        let time = Double(index) / 48_000
        let phase = 2 * .pi * (140 * time - 6 * cos(2 * .pi * 0.7 * time))
        let envelope = 0.65 - 0.35 * cos(2 * .pi * 4 * time)
        return Int16(4000 * envelope * (1...12).reduce(0.0) { $0 + sin(phase * Double($1)) / Double($1) })
    }

    private static func encode(_ samples: [Int16], copies: Bool) -> [[UInt8]] {
        guard var encoder = try? OpusEncoder() else { return [] }
        if copies { encoder.setLoss(percentage: 25) }
        var packet = [UInt8](repeating: 0, count: 500)
        return stride(from: 0, to: samples.count, by: 960).map { start in
            var span = packet.mutableSpan
            let count = try? encoder.encode(samples.span.extracting(start..<start + 960), into: &span)
            return Array(packet.prefix(count ?? 0))
        }
    }

    /// Some 20 ms packets of one kind as one (RFC 6716 §3.2.5, with lengths).
    static func joined(_ packets: ArraySlice<[UInt8]>) -> [UInt8] {
        let contents = packets.first?.first ?? 0
        var joined = [contents | 3, 0x80 | UInt8(packets.count)]
        for packet in packets.dropLast() {
            let length = packet.count - 1
            if length < 252 {
                joined.append(UInt8(length))
            } else {
                let first = 252 + length & 3
                joined += [UInt8(first), UInt8((length - first) / 4)]
            }
        }
        for packet in packets { joined += packet.dropFirst() }
        return joined
    }
}

/// A receiver, and a sender's side to feed it from.
final class ReceiverBench {
    let queue = PCMInputQueue(frameSize: 320, capacity: 2000)
    let receiver: AudioReceiver
    var now = MonotonicTime.zero
    let packets: [[UInt8]]

    init(_ packets: [[UInt8]] = Packets.tone) throws {
        receiver = try AudioReceiver(rate: 16_000, queue: queue, now: .zero)
        self.packets = packets
    }

    /// Packet `number` of the stream, now.
    ///
    /// - Parameter pause: how much later its time is than its number says, in packets.
    func feed(_ number: Int, first: UInt16 = 0, firstTimestamp: UInt32 = 0, pause: Int = 0, isCopy: Bool = false) {
        feed(
            first &+ UInt16(truncatingIfNeeded: number),
            firstTimestamp &+ UInt32(truncatingIfNeeded: (number + pause) * 960), packets[number % packets.count],
            isCopy: isCopy)
    }

    func feed(
        _ sequenceNumber: UInt16, _ timestamp: UInt32, _ payload: [UInt8], level: UInt8? = nil, isCopy: Bool = false
    ) {
        if isCopy {
            receiver.receiveCopy(
                sequenceNumber: sequenceNumber, timestamp: timestamp, payload: payload.span, now: now)
        } else {
            receiver.receive(
                sequenceNumber: sequenceNumber, timestamp: timestamp, payload: payload.span, level: level, now: now)
        }
    }

    /// Packets in order, one each 20 ms.
    func feed(_ numbers: Range<Int>, pause: Int = 0) {
        for number in numbers {
            feed(number, pause: pause)
            wait(20)
        }
    }

    /// Lets time pass as the owner does.
    func wait(_ milliseconds: Double) {
        let end = now + .nanoseconds(Int64(milliseconds * 1e6))
        while receiver.deadline <= end {
            let before = receiver.deadline
            now = max(now, receiver.deadline)
            receiver.handleTimeout(now: now)
            guard receiver.deadline > before else {
                Issue.record("the deadline \(before) stays")
                break
            }
        }
        now = end
    }

    /// Lets time pass while the owner is away.
    func sleep(_ milliseconds: Int) {
        now = now + .milliseconds(milliseconds)
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

extension [PCMInputQueue.Frame] {
    /// What each frame is: a guess, silence, or what was sent.
    var kinds: String {
        String(map { $0.concealed ? "g" : $0.silent ? "." : "x" })
    }
}

extension PCMInputQueue.Frame {
    var loudness: Int { samples.reduce(0) { $0 + abs(Int($1)) } }
}
