import SDP
import Testing

private func offer(_ formats: String, _ attributes: String...) throws -> (remote: RemoteParameters, answer: String) {
    let text = RecordedOffer.named("chromium-156-audio").lines()
        .filter { !$0.hasPrefix("a=rtpmap:63") && !$0.hasPrefix("a=fmtp:63") }
        .map { $0.hasPrefix("m=audio") ? "m=audio 9 UDP/TLS/RTP/SAVPF \(formats)" : $0 }
    let whole = (text + attributes).map { $0 + "\r\n" }.joined()
    let offer = try Offer(parsing: whole)
    let answer = offer.answer(.example)
    #expect(try problems(inAnswer: answer, to: whole) == [])
    return (offer.remote, answer)
}

@Suite("Opus with redundancy, RFC 2198 §5")
struct RedundancyTests {
    @Test(
        "is taken where all of it is the Opus that is used",
        arguments: [
            ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", true),
            ("a=rtpmap:63 RED/48000/2", "a=fmtp:63 111/111", true),
            ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111/111", true), ("a=rtpmap:63 red/48000/2", "a=x", true),
            ("a=rtpmap:63 red/48000/2", "a=fmtp:63 0/111", false), ("a=rtpmap:63 red/48000/2", "a=fmtp:63 110", false),
            ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/x", false), ("a=rtpmap:63 red/8000", "a=fmtp:63 111/111", false),
            ("a=rtpmap:63 red/48000", "a=fmtp:63 111/111", false),
            ("a=rtpmap:72 red/48000/2", "a=fmtp:72 111/111", false),
            ("a=rtpmap:64 red/48000/2", "a=fmtp:64 111/111", false), ("a=rtpmap:99 red/48000/2", "a=x", false),
        ])
    func taken(map: String, format: String, isTaken: Bool) throws {
        let (remote, answer) = try offer("111 63 64 72 110 126", map, format)
        #expect(remote.audio.red == (isTaken ? 63 : nil))
        #expect(answer.contains("a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n") == isTaken)
        #expect(answer.contains("red/") == isTaken)
    }

    @Test(
        "the answer keeps the order of the offer, by which the peer chooses what it sends",
        arguments: [
            ("111 63 9 0 8 13 110 126", "111 63 110 126"), ("63 111 110 126", "63 111 110 126"),
            ("126 63 0 110 111", "126 63 110 111"), ("63 63 111 110 111", "63 111 110"), ("110 111", "110 111"),
        ])
    func order(offered: String, answered: String) throws {
        let (_, answer) = try offer(offered, "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111")
        #expect(answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF \(answered)\r\n"))
    }
}
