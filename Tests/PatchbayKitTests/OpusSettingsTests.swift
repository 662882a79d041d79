import Audio
import PatchbayConfig
import Testing

@testable import PatchbayKit

@Suite("media.opus")
struct OpusSettingsTests {
    @Test("is the encoder's own default where it is not written")
    func defaults() {
        #expect(EncoderSettings(OpusSettings()) == EncoderSettings())
    }

    @Test(
        "reaches the encoder",
        arguments: zip(OpusBandwidth.allCases, [EncoderSettings.Bandwidth.narrow, .medium, .wide, .superwide, .full]))
    func written(word: OpusBandwidth, bandwidth: EncoderSettings.Bandwidth) {
        var settings = OpusSettings()
        (settings.complexity, settings.minimumComplexity) = (9, 3)
        (settings.bitrate, settings.bandwidth) = (24_000, word)
        let expected = EncoderSettings(complexity: 9, minimumComplexity: 3, bitrate: 24_000, bandwidth: bandwidth)
        #expect(EncoderSettings(settings) == expected)
    }
}
