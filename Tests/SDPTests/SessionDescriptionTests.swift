import SDP
import Testing

private func reason(_ text: String) -> SDPError.Reason? {
    do throws(SDPError) {
        _ = try SessionDescription(parsing: text)
        return nil
    } catch {
        return error.reason
    }
}

@Suite("Session description, RFC 8866")
struct SessionDescriptionTests {
    private static let line = "a=" + String(repeating: "x", count: 10) + "\n"

    @Test("bounds are exact")
    func bounds() {
        #expect(reason("v=0\n" + String(repeating: "a=x\n", count: 499)) == nil)
        #expect(reason("v=0\n" + String(repeating: "a=x\n", count: 500)) == .tooManyLines)
        #expect(reason("v=0\na=x:" + String(repeating: "y", count: 1020)) == nil)
        #expect(reason("v=0\na=x:" + String(repeating: "y", count: 1021)) == .lineTooLong(bytes: 1025))
        let filler = "a=x:" + String(repeating: "y", count: 1019) + "\n"
        #expect(
            reason("v=0\n" + String(repeating: filler, count: 31) + "a=x:" + String(repeating: "y", count: 1016)) == nil
        )
        #expect(reason("v=0\n" + String(repeating: filler, count: 32)) == .tooLong(bytes: 4 + 32 * 1024))
        let media = "m=audio 9 RTP/SAVPF 0\n"
        #expect(reason("v=0\n" + String(repeating: media, count: 4)) == nil)
        #expect(reason("v=0\n" + String(repeating: media, count: 5)) == .tooManyMediaSections)
        #expect(reason("v=0\nm=audio 9 RTP/SAVPF" + String(repeating: " 0", count: 64)) == nil)
        #expect(reason("v=0\nm=audio 9 RTP/SAVPF" + String(repeating: " 0", count: 65)) == .tooManyFormats)
    }

    @Test(
        "what is not SDP is refused",
        arguments: [
            ("", SDPError.Reason.noVersion), ("\n", nil), ("v=1\n", .noVersion), ("s=-\nv=0\n", .noVersion),
            ("v=0\nhello\n", .malformedLine), ("v=0\nA=x\n", .malformedLine), ("v=0\n\na=x\n", .malformedLine),
            ("v=0\na\n", .malformedLine), ("v=0\na=\n", .malformedLine), ("v=0\na=:x\n", .malformedLine),
            ("v=0\na=x:\u{0}\n", .controlCharacter), ("v=0\na=x\ry\n", .controlCharacter),
            ("v=0\nm=audio 9 RTP/SAVPF\n", .malformedMedia), ("v=0\nm=audio 65536 RTP/SAVPF 0\n", .malformedMedia),
            ("v=0\nm=audio -1 RTP/SAVPF 0\n", .malformedMedia), ("v=0\nm=audio 9/x RTP/SAVPF 0\n", .malformedMedia),
            ("v=0\nm=audio 9/1/1 RTP/SAVPF 0\n", .malformedMedia), ("v=0\nm=aud\"io 9 RTP/SAVPF 0\n", .malformedMedia),
            ("v=0\nm=audio 9 RTP//SAVPF 0\n", .malformedMedia), ("v=0\nm=audio 9 RTP/SAVPF <0>\n", .malformedMedia),
            ("v=0\nm=audio 9/2 RTP/SAVPF 0\n", nil), ("v=0\r\na=x:\u{e9}\r\n\r\n", nil),
        ])
    func malformed(text: String, expected: SDPError.Reason?) {
        #expect(reason(text) == expected)
    }

    @Test("LF line ends become CRLF, an empty value stays apart from no value")
    func serializer() throws {
        let text = "v=0\ns=-\na=x\na=y:\na=z:1:2\nm=audio 9/2 RTP/SAVPF 0 8\ni=info\na=q\n"
        #expect(try SessionDescription(parsing: text).description == text.replacing("\n", with: "\r\n"))
    }
}
