import PatchbayPlugin
import Testing

@Suite("The audio level of a frame")
struct AudioLevelTests {
    @Test(
        "is read as RFC 6464 writes it: V on top, the level below",
        arguments: [(0x00, 0, false), (0x80, 0, true), (0x7f, 127, false), (0xff, 127, true), (0xb2, 50, true)])
    func byte(byte: UInt8, level: Int, isVoice: Bool) {
        #expect(AudioLevel(byte: byte) == AudioLevel(level: level, isVoice: isVoice))
        #expect(AudioLevel(byte: byte).level == level && AudioLevel(byte: byte).isVoice == isVoice)
    }

    @Test("is held within its range, and absent unless somebody says it")
    func range() {
        #expect(AudioLevel(level: -1, isVoice: true).level == 0 && AudioLevel(level: 128, isVoice: true).level == 127)
        #expect(PCMFrame([], sampleRate: 16_000).audioLevel == nil)
    }
}
