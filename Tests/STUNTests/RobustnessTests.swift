import STUN
import TestSupport
import Testing
import Wire

@Suite("STUN parsing of hostile bytes")
struct RobustnessTests {
    @Test("10 000 random datagrams do not trap, nor pass as authentic", arguments: [0x5eed_0001 as UInt64])
    func random(seed: UInt64) {
        var generator = Seeded(seed)
        for _ in 0..<10_000 {
            var datagram = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            // past the header, so that attributes are reached
            if datagram.count >= 20, Bool.random(using: &generator) {
                datagram.removeLast(datagram.count % 4)
                datagram.replaceSubrange(0..<8, with: [0, 1, 0, UInt8(datagram.count - 20), 0x21, 0x12, 0xa4, 0x42])
            }
            #expect(!readsAsAuthentic(datagram), "seed \(seed): \(datagram)")
        }
    }

    @Test("10 000 mutated vectors do not trap, nor pass as authentic", arguments: [0x5eed_0002 as UInt64])
    func mutated(seed: UInt64) {
        var generator = Seeded(seed)
        let vectors = [Vector.request, Vector.responseIPv4, Vector.responseIPv6, Vector.longTermRequest]
        for round in 0..<10_000 {
            let original = vectors[round % vectors.count]
            var datagram = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) { mutate(&datagram, using: &generator) }
            if readsAsAuthentic(datagram) {
                // Only what the integrity does not cover may differ: padding aside, nothing before MESSAGE-INTEGRITY.
                #expect(datagram.prefix(2) == original.prefix(2), "seed \(seed): \(datagram)")
                #expect(
                    datagram.dropFirst(4).starts(with: original.dropFirst(4).prefix(original.count - 36)),
                    "seed \(seed)")
            }
        }
    }

    private func readsAsAuthentic(_ datagram: [UInt8]) -> Bool {
        _ = STUNProbe(datagram.span)
        guard let message = try? STUNMessage(parsing: datagram.span) else { return false }
        _ = (message.username, message.software, message.priority, message.useCandidate, message.xorMappedAddress)
        _ = (message.errorCode, message.unknownAttributes, message.iceControlled, message.iceControlling)
        return message.hasIntegrity(key: Vector.password)
    }

    private func mutate(_ datagram: inout [UInt8], using generator: inout Seeded) {
        guard !datagram.isEmpty else { return }
        let index = Int.random(in: 0..<datagram.count, using: &generator)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: datagram[index] = UInt8.random(in: 0...255, using: &generator)
        case 1: datagram[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 2: datagram.removeSubrange(index...)
        case 3: datagram.insert(contentsOf: datagram[index...].prefix(4), at: index)
        case _: datagram.remove(at: index)
        }
        if Bool.random(using: &generator) {  // a length that fits lets the mutation reach the attributes
            datagram.removeLast(datagram.count % 4)
            datagram.set(uint16: UInt16(max(datagram.count - 20, 0)), at: 2)
        }
    }
}
