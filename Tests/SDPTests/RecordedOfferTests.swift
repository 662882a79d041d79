import SDP
import Testing

@Suite("Offers of real clients")
struct RecordedOfferTests {
    @Test("the vectors are there")
    func vectors() {
        #expect(RecordedOffer.all.count == 21)
    }

    @Test("parsing and writing gives the same text", arguments: RecordedOffer.all)
    func lossless(offer: RecordedOffer) throws {
        #expect(try SessionDescription(parsing: offer.text).description == offer.text)
    }

    @Test("the answer is one that a browser takes", arguments: RecordedOffer.all, MediaDirection.allCases)
    func answer(offer: RecordedOffer, direction: MediaDirection) throws {
        var local = LocalParameters.example
        local.direction = direction
        let answer = try Offer(parsing: offer.text).answer(local)
        let found = try problems(inAnswer: answer, to: offer.text)
        #expect(found.isEmpty, "\(found)")
    }

    @Test("what the client said is read", arguments: RecordedOffer.all)
    func parameters(offer: RecordedOffer) throws {
        let remote = try Offer(parsing: offer.text).remote
        #expect(remote.setup == .actpass)
        #expect(remote.fingerprints.contains { $0.algorithm == .sha256 && $0.bytes.count == 32 })
        #expect(!remote.iceLite)
        #expect(remote.trickle == !offer.name.hasPrefix("aiortc"))
        #expect(remote.audio.direction == .sendrecv)
        #expect(remote.audio.mediaIndex == (offer.name.contains("video-first") ? 1 : 0))
        #expect(remote.audio.mid == "\(remote.audio.mediaIndex)")
        #expect(remote.audio.ssrcs.count == 1)
        #expect(remote.audio.cname?.isEmpty == false)
        #expect(remote.candidates.isEmpty == !offer.name.contains("gathered"))
        let isChromium = offer.name.hasPrefix("chromium"), isFirefox = offer.name.hasPrefix("firefox")
        #expect(remote.audio.opus.payloadType == (isChromium ? 111 : isFirefox ? 109 : 96))
        #expect(remote.audio.red == (isChromium ? 63 : nil), "Firefox has RED for video only")
        #expect(remote.audio.telephoneEvents.map(\.payloadType) == (isChromium ? [110, 126] : isFirefox ? [101] : []))
        #expect(
            remote.audio.telephoneEvents.map(\.clockRate) == (isChromium ? [48_000, 8000] : isFirefox ? [8000] : []))
        // Chromium numbers the extensions of the sections before first.
        let isLater = isChromium && remote.audio.mediaIndex == 1
        #expect(remote.audio.audioLevelExtensionID == (isLater ? 14 : isChromium || isFirefox ? 1 : 2))
        #expect(remote.audio.midExtensionID == (isLater ? 9 : isChromium ? 4 : isFirefox ? 3 : 1))
        #expect(remote.audio.opus.parameters.useInbandFEC == (isChromium || isFirefox))
        #expect(remote.audio.opus.parameters.stereo == isFirefox)
        #expect(remote.audio.opus.parameters.maxPlaybackRate == (isFirefox ? 48_000 : nil))
        #expect(remote.audio.opus.parameters.minPTime == (isChromium ? 10 : nil))
    }

    @Test("the transport of the audio section is the one that counts")
    func transport() throws {
        let remote = try Offer(parsing: RecordedOffer.named("chromium-156-audio-gathered")).remote
        #expect(remote.iceUfrag == "lHl3")
        #expect(remote.icePassword == "fSbmSVxjgm/Ws4Njzz6Mqqju")
        #expect(remote.candidates.count == 4)
        #expect(remote.candidates.first?.hasPrefix("3445393395 1 udp 2122194687 192.0.2.2 56002 typ host") == true)
        #expect(!remote.endOfCandidates)

        let aiortc = try Offer(parsing: RecordedOffer.named("aiortc-1.16-audio-gathered")).remote
        #expect(aiortc.fingerprints.map(\.algorithm) == [.sha256, .sha384, .sha512])
        #expect(aiortc.endOfCandidates)
    }
}
