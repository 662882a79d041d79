import SDP
import Testing

@Suite("Our own offer")
struct LocalOfferTests {
    private func exchange(_ caller: LocalParameters, _ callee: LocalParameters) throws -> RemoteParameters {
        let text = LocalOffer.make(caller)
        let offer = try Offer(parsing: text)
        let answer = offer.answer(callee)
        #expect(try problems(inAnswer: answer, to: text) == [])
        return try LocalOffer.accept(answer: answer)
    }

    @Test("is read by the other side as it was meant")
    func offer() throws {
        let local = LocalParameters.example
        let remote = try Offer(parsing: LocalOffer.make(local)).remote
        #expect(remote.iceUfrag == local.iceUfrag && remote.icePassword == local.icePassword)
        #expect(remote.fingerprints == [local.fingerprint])
        #expect(remote.setup == .actpass && remote.trickle && !remote.endOfCandidates && !remote.iceLite)
        #expect(remote.candidates == local.candidates)
        #expect(remote.audio.opus.payloadType == 111 && remote.audio.opus.parameters == local.opus)
        #expect(remote.audio.red == nil)
        #expect(remote.audio.telephoneEvents == LocalOffer.telephoneEvents)
        #expect(remote.audio.audioLevelExtensionID == 1 && remote.audio.midExtensionID == 2)
        #expect(remote.audio.ssrcs == [local.ssrc] && remote.audio.cname == local.cname)
    }

    @Test("and its answer come to the same agreement", arguments: MediaDirection.allCases, MediaDirection.allCases)
    func roundTrip(callerWish: MediaDirection, calleeWish: MediaDirection) throws {
        var (caller, callee) = (LocalParameters.example, LocalParameters.example)
        (caller.direction, callee.direction) = (callerWish, calleeWish)
        (callee.iceUfrag, callee.ssrc, callee.opus.maxPlaybackRate) = ("theirs", 99, 24_000)
        let remote = try exchange(caller, callee)
        #expect(remote.setup == .active)
        #expect(remote.iceUfrag == "theirs")
        #expect(remote.audio.opus.parameters == callee.opus)
        #expect(!remote.audio.direction.sends || callerWish.receives && calleeWish.sends)
        #expect(remote.audio.ssrcs == (remote.audio.direction.sends ? [99] : []))
    }

    @Test(
        "refuses an answer that does not fit",
        arguments: [
            ("a=setup", "a=setup:actpass", SDPError.Reason.passiveOrActiveExpected),
            ("m=audio", "m=audio 0 UDP/TLS/RTP/SAVPF 111", .rejectedAudio),
            ("m=audio", "m=video 9 UDP/TLS/RTP/SAVPF 111", .noAudio),
            ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF 111 0", .notOffered("a payload type")),
            ("a=rtpmap:126", "a=rtpmap:126 red/48000/2", .notOffered("a payload type")),
            ("a=mid", "a=mid:1", .notOffered("a mid")),
            (
                "a=extmap:1", "a=extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                .notOffered("a header extension id")
            ),
            ("a=candidate", "m=audio 9 UDP/TLS/RTP/SAVPF 111", .mediaCountChanged(2)),
            ("a=rtcp-mux", "a=x", .missing("rtcp-mux")),
        ])
    func badAnswers(line: String, replacement: String, reason: SDPError.Reason) throws {
        let answer = try Offer(parsing: LocalOffer.make(.example)).answer(.example)
        _ = try LocalOffer.accept(answer: answer)
        let damaged = answer.lines().map { $0.hasPrefix(line) ? replacement : $0 }.joined(separator: "\r\n")
        do throws(SDPError) {
            _ = try LocalOffer.accept(answer: damaged)
            Issue.record("accepted")
        } catch {
            #expect(error.reason == reason)
        }
    }
}
