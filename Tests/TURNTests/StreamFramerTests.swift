import STUN
import TURN
import TestSupport
import Testing
import Wire

@Suite("TURN over a stream")
struct StreamFramerTests {
    private static func binding() -> [UInt8] {
        var builder = STUNBuilder(.request, id: TransactionID(tag: 1, rest: 2))
        builder.add(username: "a:b")
        return builder.finish(key: [1])
    }

    @Test(
        "in pieces of any size the same messages and frames come out, without padding",
        arguments: 0..<50 as Range<UInt64>)
    func pieces(seed: UInt64) {
        var random = Seeded(seed)
        var frames: [[UInt8]] = []
        var stream: [UInt8] = []
        for _ in 0..<40 {
            if random.chance(0.5) {
                frames.append(Self.binding())
                stream += Self.binding()
            } else {
                let data = random.bytes(Int(random.next() % 200))
                frames.append([0x40, 1, 0, UInt8(data.count)] + data)
                stream += frames[frames.count - 1]
                while stream.count % 4 != 0 { stream.append(0) }
            }
        }
        var framer = StreamFramer()
        var received: [[UInt8]] = []
        while !stream.isEmpty {
            let count = min(stream.count, 1 + Int(random.next() % 100))
            framer.append(stream.prefix(count))
            stream.removeFirst(count)
            while let frame = framer.next() { received.append(frame) }
        }
        #expect(received == frames)
        #expect(!framer.isBroken)
    }

    @Test(
        "what is neither ends it, and what follows is not kept",
        arguments: [[0x80, 0, 0, 0], [0x50, 0, 0, 0], [0, 1, 0, 3], [0xff, 0xff, 0xff, 0xff]] as [[UInt8]])
    func broken(bytes: [UInt8]) {
        var framer = StreamFramer()
        framer.append(Self.binding() + bytes)
        #expect(framer.next() == Self.binding())
        #expect(framer.next() == nil)
        #expect(framer.isBroken)
        framer.append(Self.binding())
        #expect(framer.next() == nil)
    }
}
