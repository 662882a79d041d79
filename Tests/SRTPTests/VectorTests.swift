import SRTP
import Testing
import Wire

@Suite("SRTP against the RFCs' vectors")
struct VectorTests {
    static let sessionKey = [UInt8](hex: "2B7E151628AED2A6ABF7158809CF4F3C")

    @Test(
        "The reference gives RFC 3711 B.2's keystream",
        arguments: [
            (
                "0000",
                "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"
            ),
            (
                "FEFF",
                "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44"
            ),
        ])
    func keystream(counter: String, expected: String) {
        let iv = [UInt8](hex: "F0F1F2F3F4F5F6F7F8F9FAFBFCFD" + counter)
        #expect(ReferenceSRTP.keystream(Self.sessionKey, iv, count: 48) == [UInt8](hex: expected))
    }

    @Test("The reference derives RFC 3711 B.3's keys")
    func derivation() {
        let master = [UInt8](hex: "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6")
        let reference = ReferenceSRTP(.aes128CMHMACSHA1Length80, keyAndSalt: master)
        #expect(reference.rtp.key == [UInt8](hex: "C61E7A93744F39EE10734AFE3FF7A087"))
        #expect(reference.rtp.salt == [UInt8](hex: "30CBBC08863D8C85D49DB34A9AE1"))
        #expect(reference.rtp.authentication == [UInt8](hex: "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"))
    }

    static let salt = [UInt8](hex: "517569642070726f2071756f")

    @Test("The reference seals RFC 7714 §16.1.1's SRTP packet")
    func gcmRTP() {
        let iv = zip([UInt8](hex: "0000 5501a0b2 00000000 f17b"), Self.salt).map { $0 ^ $1 }
        #expect(iv == [UInt8](hex: "51753c65 80c2726f 20718414"))
        let sealed = ReferenceSRTP.gcm(
            [UInt8](0x00...0x0f), iv, additional: [UInt8](hex: "8040f17b 8041f8d3 5501a0b2"),
            Array("Gallia est omnis divisa in partes tres".utf8))
        let expected = """
            f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
            36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce
            """
        #expect(sealed == [UInt8](hex: expected))
    }

    @Test("The reference seals RFC 7714 §17.1's SRTCP packet")
    func gcmRTCP() {
        let iv = zip([UInt8](hex: "0000 4d617273 0000 000005d4"), Self.salt).map { $0 ^ $1 }
        let plaintext = """
            4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
            deadbeef deadbeef deadbeef deadbeef deadbeef
            """
        let expected = """
            63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda
            4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade
            """
        let sealed = ReferenceSRTP.gcm(
            [UInt8](0x00...0x0f), iv, additional: [UInt8](hex: "81c8000d 4d617273 800005d4"), [UInt8](hex: plaintext))
        #expect(sealed == [UInt8](hex: expected))
    }

    @Test("The linked library passes its start-up test")
    func selfTest() throws {
        try SRTPLibrary.start()
    }

    @Test("The library's packets are the reference's, bit by bit, across a wrap", arguments: profiles)
    func rtp(profile: SRTPProfile) throws {
        let reference = ReferenceSRTP(profile, keyAndSalt: key(profile))
        var session = try SRTPSession(profile: profile, keyAndSalt: key(profile), direction: .outbound)
        var index: UInt32 = 65_400
        for step in 0..<300 {
            var plain = packet(UInt16(truncatingIfNeeded: index), payload: step)
            var header = 12
            if step % 3 == 1 {  // one contributing source and an extension of one word
                plain[0] = 0x91
                plain.insert(contentsOf: [9, 9, 9, 9, 0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0], at: 12)
                header = 24
            }
            #expect(try session.sealed(plain) == reference.protect(plain, header: header, rollover: index >> 16))
            index += 1
        }
    }

    @Test("The library's RTCP packets are the reference's, bit by bit", arguments: profiles)
    func rtcp(profile: SRTPProfile) throws {
        let reference = ReferenceSRTP(profile, keyAndSalt: key(profile))
        var session = try SRTPSession(profile: profile, keyAndSalt: key(profile), direction: .outbound)
        for step in 0..<50 {
            let plain = report(words: step)
            #expect(try session.sealedRTCP(plain) == reference.protectRTCP(plain, index: UInt32(step + 1)))
        }
    }
}
