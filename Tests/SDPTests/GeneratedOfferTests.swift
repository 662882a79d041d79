import SDP
import TestSupport
import Testing

@Suite("Any offer that RFC 9429 allows")
struct GeneratedOfferTests {
    @Test("is answered in a way that a browser takes", arguments: 0..<20)
    func answer(seed: Int) throws {
        var generator = OfferGenerator(random: Seeded(UInt64(seed)))
        for _ in 0..<100 {
            let text = generator.make()
            let answer = try Offer(parsing: text).answer(.example)
            let found = try problems(inAnswer: answer, to: text)
            #expect(found.isEmpty, "\(found)\n\(text)\n\(answer)")
        }
    }

    @Test(
        "the check finds what is wrong with an answer",
        arguments: [
            ("a=rtcp-mux", ""), ("a=setup:active", "a=setup:actpass"), ("a=ice-pwd", ""), ("a=fingerprint", ""),
            ("a=group", ""), ("a=group", "a=group:BUNDLE 1 0"), ("a=mid:1", "a=mid:5"), ("m=video", "m=text 0 RTP 96"),
            ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVP 111 110 126"), ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF 105"),
            ("a=rtpmap:111", "a=rtpmap:111 opus/48000"), ("a=extmap:1", "a=extmap:9 urn:x"), ("a=msid", ""),
            ("a=sendrecv", "a=recvonly"), ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF 63 111 110 126"),
            ("a=fmtp:63", ""), ("a=fmtp:63", "a=fmtp:63 111/110"),
        ])
    func checker(line: String, replacement: String) throws {
        let text = RecordedOffer.named("chromium-156-audio-recvvideo-data")
        let answer = try Offer(parsing: text).answer(.example)
        #expect(try problems(inAnswer: answer, to: text) == [])
        let damaged = answer.lines().map { $0.hasPrefix(line) ? replacement : $0 }.filter { !$0.isEmpty }
        #expect(damaged != answer.lines())
        #expect(try problems(inAnswer: damaged.joined(separator: "\n"), to: text) != [])
    }
}
