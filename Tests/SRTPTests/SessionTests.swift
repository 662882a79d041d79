import SRTP
import TestSupport
import Testing
import Wire

@Suite("SRTP sessions, RFC 3711 §3.3", .serialized)
struct SessionTests {
    private func sender(_ profile: SRTPProfile) throws -> SRTPSession {
        try SRTPSession(profile: profile, keyAndSalt: key(profile), direction: .outbound)
    }

    private func receiver(_ profile: SRTPProfile) throws -> SRTPSession {
        try SRTPSession(profile: profile, keyAndSalt: key(profile), direction: .inbound)
    }

    @Test("What one side seals the other opens, RTP and RTCP", arguments: profiles)
    func roundTrip(profile: SRTPProfile) throws {
        var sender = try sender(profile)
        var receiver = try receiver(profile)
        for step in 0..<200 {
            let plain = packet(UInt16(step), payload: step * 7)
            let sealed = try sender.sealed(plain)
            #expect(sealed.count == plain.count + profile.tagLength)
            #expect(step == 0 || sealed[12...].prefix(step * 7) != plain[12...])
            #expect(try receiver.opened(sealed) == plain)
        }
        #expect(try receiver.openedRTCP(sender.sealedRTCP(report())) == report())
    }

    @Test("A key of the wrong length is refused", arguments: profiles)
    func keyLength(profile: SRTPProfile) {
        #expect(throws: SRTPError.keyLength(count: 27, expected: profile.keyAndSaltLength)) {
            _ = try SRTPSession(profile: profile, keyAndSalt: [UInt8](repeating: 0, count: 27), direction: .inbound)
        }
    }

    @Test("A repeated packet is replayed, one older than the window too, one within it is not", arguments: profiles)
    func replay(profile: SRTPProfile) throws {
        let reference = ReferenceSRTP(profile, keyAndSalt: key(profile))
        func sealed(_ number: UInt16) -> [UInt8] { reference.protect(packet(number), header: 12, rollover: 0) }
        var receiver = try receiver(profile)
        #expect(try receiver.opened(sealed(3000)) == packet(3000))
        #expect(throws: SRTPError.replayed) { try receiver.opened(sealed(3000)) }
        #expect(try receiver.opened(sealed(3000 - 1000)) == packet(2000))
        #expect(throws: SRTPError.replayed) { try receiver.opened(sealed(2000)) }
        #expect(throws: SRTPError.replayed) { try receiver.opened(sealed(3000 - 1024)) }
        let control = reference.protectRTCP(report(), index: 9)
        #expect(try receiver.openedRTCP(control) == report())
        #expect(throws: SRTPError.replayed) { try receiver.openedRTCP(control) }
    }

    @Test(
        "A changed bit anywhere, another key, a cut packet: none is accepted, and the true one still is",
        arguments: profiles)
    func tamper(profile: SRTPProfile) throws {
        var sender = try sender(profile)
        var receiver = try receiver(profile)
        #expect(try receiver.opened(sender.sealed(packet(1))) == packet(1))
        let sealed = try sender.sealed(packet(2, payload: 20))
        for bit in 0..<sealed.count * 8 {
            var changed = sealed
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SRTPError.self) { try receiver.opened(changed) }
        }
        for count in 0..<sealed.count {
            #expect(throws: SRTPError.self) { try receiver.opened(Array(sealed.prefix(count))) }
        }
        var other = try SRTPSession(profile: profile, keyAndSalt: key(profile, seed: 2), direction: .inbound)
        #expect(throws: SRTPError.authentication) { try other.opened(sealed) }
        #expect(try receiver.opened(sealed) == packet(2, payload: 20))

        let control = try sender.sealedRTCP(report())
        for bit in 0..<control.count * 8 {
            var changed = control
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SRTPError.self) { try receiver.openedRTCP(changed) }
        }
        for count in 0..<control.count {
            #expect(throws: SRTPError.self) { try receiver.openedRTCP(Array(control.prefix(count))) }
        }
        #expect(try receiver.openedRTCP(control) == report())
    }

    @Test("Sequence numbers wrap with and without losses there", arguments: profiles)
    func wrap(profile: SRTPProfile) throws {
        let reference = ReferenceSRTP(profile, keyAndSalt: key(profile))
        var receiver = try receiver(profile)
        var opened = 0
        for index in (60_000...200_000 as ClosedRange<UInt32>) where index % 65_536 > 20 && index % 7 == 0 {
            let plain = packet(UInt16(truncatingIfNeeded: index), payload: 1)
            if try receiver.opened(reference.protect(plain, header: 12, rollover: index >> 16)) == plain { opened += 1 }
        }
        #expect(opened > 19_000)
    }

    @Test(
        "A stream that starts at 65530 with its first ten packets lost is heard from the third that arrives",
        arguments: profiles, [false, true])
    func rolloverRecovery(profile: SRTPProfile, hasRTCP: Bool) throws {
        var sender = try sender(profile)
        var receiver = try receiver(profile)
        if hasRTCP { _ = try receiver.openedRTCP(sender.sealedRTCP(report())) }
        var heard: [Int] = []
        for step in 0..<200 {
            let plain = packet(65_530 &+ UInt16(step))
            let sealed = try sender.sealed(plain)
            guard step >= 10 else { continue }
            if let opened = try? receiver.opened(sealed) {
                #expect(opened == plain)
                heard.append(step)
            }
        }
        #expect(heard == Array(12..<200))
    }

    @Test(
        "Forged packets of new sources do not keep the true one from being recovered, and trials end",
        arguments: profiles)
    func boundedRecovery(profile: SRTPProfile) throws {
        var receiver = try receiver(profile)
        for ssrc in 0..<100 as Range<UInt32> {
            for number in 0..<5 as Range<UInt16> {
                #expect(throws: SRTPError.authentication) {
                    try receiver.opened(packet(number, ssrc: ssrc) + [UInt8](repeating: 0, count: 16))
                }
            }
        }
        let reference = ReferenceSRTP(profile, keyAndSalt: key(profile))
        #expect(try receiver.opened(reference.protect(packet(40_000), header: 12, rollover: 0)) == packet(40_000))
    }

    @Test(
        "A ninth source takes the place of the one not heard for longest, and forgets its replay window",
        arguments: profiles)
    func streams(profile: SRTPProfile) throws {
        var sender = try sender(profile)
        var receiver = try receiver(profile)
        var sealed: [UInt32: [UInt8]] = [:]
        for ssrc in 1...20 as ClosedRange<UInt32> {
            sealed[ssrc] = try sender.sealed(packet(7, ssrc: ssrc))
            #expect(try receiver.opened(try #require(sealed[ssrc])) == packet(7, ssrc: ssrc))
            // The first is heard all along.
            if ssrc > 1 { _ = try receiver.opened(try sender.sealed(packet(7 + UInt16(ssrc), ssrc: 1))) }
        }
        for ssrc in [1, 14, 15, 16, 17, 18, 19, 20] as [UInt32] {
            #expect(throws: SRTPError.replayed) { try receiver.opened(try #require(sealed[ssrc])) }
        }
        #expect(try receiver.opened(try #require(sealed[13])) == packet(7, ssrc: 13))
        // Nor is another forgotten whose number has the same bytes the other way round.
        let pair = [0x0102_0304, 0x0403_0201] as [UInt32]
        for ssrc in pair { _ = try receiver.opened(try sender.sealed(packet(7, ssrc: ssrc))) }
        for ssrc in 30...36 as ClosedRange<UInt32> {
            _ = try receiver.opened(try sender.sealed(packet(7, ssrc: ssrc)))
            _ = try receiver.opened(try sender.sealed(packet(UInt16(ssrc), ssrc: pair[1])))
        }
        sender = try self.sender(profile)
        let again = try sender.sealed(packet(7, ssrc: pair[1]))
        #expect(throws: SRTPError.replayed) { try receiver.opened(again) }
        // A stranger's packet drives nobody out.
        #expect(throws: SRTPError.authentication) {
            try receiver.opened(packet(7, ssrc: 99) + .init(repeating: 0, count: 16))
        }
        #expect(throws: SRTPError.replayed) { try receiver.opened(again) }
    }

    @Test("A header that runs past the packet and a packet without room for a tag are malformed")
    func malformed() throws {
        var receiver = try receiver(.aeadAES128GCM)
        var sender = try sender(.aeadAES128GCM)
        var plain = packet(1)
        plain[0] = 0x90  // an extension whose length lies where the payload is
        plain.replaceSubrange(12..<16, with: [0, 0, 0xff, 0xff])
        #expect(throws: SRTPError.malformed(count: 92)) { try sender.sealed(plain) }
        #expect(throws: SRTPError.malformed(count: 92)) { try receiver.opened(plain) }
        #expect(throws: SRTPError.malformed(count: 27)) { try receiver.opened(Array(packet(1).prefix(27))) }
        #expect(throws: SRTPError.noRoom(count: 92, room: 92)) {
            var scratch = packet(1)
            var span = scratch.mutableSpan
            _ = try sender.protect(&span, count: 92)
        }
    }

    @Test("10 000 random packets are refused without a trap", arguments: profiles)
    func random(profile: SRTPProfile) throws {
        var random = Seeded(4)
        var receiver = try receiver(profile)
        for _ in 0..<10_000 {
            var bytes = random.bytes(Int.random(in: 0...200, using: &random))
            if !bytes.isEmpty { bytes[0] = bytes[0] & 0x3f | 0x80 }
            #expect(throws: SRTPError.self) { try receiver.opened(bytes) }
            #expect(throws: SRTPError.self) { try receiver.openedRTCP(bytes) }
        }
    }
}
