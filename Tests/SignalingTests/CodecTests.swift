import PatchbayPlugin
import Signaling
import Testing

@Suite("Messages from the client")
struct ClientMessageTests {
    private static let id = "PC-0123456789abcdef0123456789abcdef"

    @Test(
        "an offer with all its fields",
        arguments: [
            ("", nil), (#","call_context_vars":{"n":[1,"x"]},"workflow_id":33"#, ["n": [1, "x"]]),
            (#","call_context_vars":{}"#, [:]),
            (#","call_context_vars":null"#, nil), (#","call_context_vars":"x""#, nil),
        ] as [(String, [String: JSONValue]?)])
    func offer(extra: String, variables: [String: JSONValue]?) {
        let text = #"{"type":"offer","payload":{"pc_id":"\#(Self.id)","sdp":"v=0\r\n","type":"offer"\#(extra)}}"#
        #expect(
            ClientMessage(text)
                == .offer(pcID: Self.id, sdp: "v=0\r\n", type: "offer", contextVariables: variables))
    }

    @Test(
        "an offer lacks fields when one is absent, empty, of another type, or a pc_id that is not allowed",
        arguments: [
            #"{}"#, #"{"sdp":"v","type":"offer"}"#, #"{"pc_id":"a","type":"offer"}"#, #"{"pc_id":"a","sdp":"v"}"#,
            #"{"pc_id":"","sdp":"v","type":"offer"}"#, #"{"pc_id":"a","sdp":null,"type":"offer"}"#,
            #"{"pc_id":"a","sdp":5,"type":"offer"}"#, #"{"pc_id":"a b","sdp":"v","type":"offer"}"#,
            #"{"pc_id":"a\n","sdp":"v","type":"offer"}"#, #"{"pc_id":"é","sdp":"v","type":"offer"}"#,
            #"{"pc_id":"\#(String(repeating: "a", count: 65))","sdp":"v","type":"offer"}"#,
        ])
    func missingFields(payload: String) {
        #expect(ClientMessage(#"{"type":"offer","payload":\#(payload)}"#) == .missingOfferFields)
    }

    @Test("an offer without a payload lacks its fields")
    func noPayload() {
        #expect(ClientMessage(#"{"type":"offer"}"#) == .missingOfferFields)
    }

    @Test("a candidate with all that belongs to it")
    func candidate() {
        let line = "candidate:1 1 udp 2122260223 203.0.113.9 45406 typ host"
        let text = """
            {"type":"ice-candidate","payload":{"pc_id":"a","candidate":
            {"candidate":"\(line)","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"uf"}}}
            """
        #expect(
            ClientMessage(text)
                == .iceCandidate(
                    pcID: "a", .some(candidate: line, sdpMid: "0", sdpMLineIndex: 0, usernameFragment: "uf")))
    }

    @Test(
        "no more candidates",
        arguments: [
            "", #","candidate":null"#, #","candidate":{}"#, #","candidate":"""#,
            #","candidate":0"#, #","candidate":-0.0"#, #","candidate":[]"#, #","candidate":false"#,
            #","candidate":{"candidate":"","sdpMid":"0"}"#, #","candidate":{"sdpMid":"0"}"#,
        ])
    func endOfCandidates(member: String) {
        let text = #"{"type":"ice-candidate","payload":{"pc_id":"a"\#(member)}}"#
        #expect(ClientMessage(text) == .iceCandidate(pcID: "a", .endOfCandidates))
    }

    @Test(
        "a candidate is malformed when it is not an object with a text",
        arguments: [#""candidate:1""#, "1", "true", "[1]", #"{"candidate":1}"#])
    func badCandidate(value: String) {
        let message = ClientMessage(#"{"type":"ice-candidate","payload":{"pc_id":"a","candidate":\#(value)}}"#)
        guard case .malformed = message else {
            Issue.record("\(message)")
            return
        }
    }

    @Test("a candidate without a pc_id is ignored")
    func candidateWithoutID() {
        #expect(
            ClientMessage(#"{"type":"ice-candidate","payload":{"candidate":null}}"#) == .ignored(type: "ice-candidate"))
    }

    @Test(
        "renegotiation",
        arguments: [
            (#"{"pc_id":"a","sdp":"v","type":"offer"}"#, "a", false),
            (#"{"pc_id":"a","sdp":"v","type":"offer","restart_pc":true}"#, "a", true),
            (#"{"pc_id":"a","sdp":"v","type":"offer","restart_pc":false}"#, "a", false),
            (#"{"pc_id":"a","sdp":"v","type":"offer","restart_pc":0.5}"#, "a", true),
            (#"{"pc_id":"a","sdp":"v","type":"offer","restart_pc":"no"}"#, "a", true),
            (#"{"sdp":"v","type":"offer"}"#, "", false), (#"{"pc_id":"!","sdp":"v","type":"offer"}"#, "", false),
        ])
    func renegotiate(payload: String, id: String, restart: Bool) {
        #expect(
            ClientMessage(#"{"type":"renegotiate","payload":\#(payload)}"#)
                == .renegotiate(pcID: id, sdp: "v", type: "offer", restartPC: restart))
    }

    @Test(
        "a question how a call goes",
        arguments: [
            (#","payload":{"pc_id":"a"}"#, "a"), (#","payload":{"pc_id":"a","more":1}"#, "a"), ("", ""),
            (#","payload":{}"#, ""), (#","payload":{"pc_id":7}"#, ""), (#","payload":{"pc_id":"!"}"#, ""),
        ])
    func getStatistics(rest: String, id: String) {
        #expect(ClientMessage(#"{"type":"get-statistics"\#(rest)}"#) == .getStatistics(pcID: id))
    }

    @Test(
        "what no one knows is ignored",
        arguments: [
            (#"{"type":"hello"}"#, "hello"), (#"{"type":"hello","payload":null}"#, "hello"), ("{}", ""),
            (#"{"type":7}"#, ""), (#"{"type":null,"payload":{}}"#, ""), (#"{"type":"Offer"}"#, "Offer"),
        ])
    func ignored(text: String, type: String) {
        #expect(ClientMessage(text) == .ignored(type: type))
    }

    @Test(
        "what is no message is malformed",
        arguments: [
            "", "x", "[]", "1", "\"offer\"", "null", #"{"type":"offer","payload":null}"#,
            #"{"type":"offer","payload":[]}"#, #"{"type":"ice-candidate","payload":"x"}"#,
            #"{"type":"renegotiate","payload":1}"#, #"{"type":"get-statistics","payload":[]}"#,
            #"{"type":"offer","type":"x"}"#,
            #"{"type":"x","payload":{},"payload":{}}"#,
            #"{"type":"x","payload":"# + String(repeating: "[", count: 17) + String(repeating: "]", count: 17) + "}",
        ])
    func malformed(text: String) {
        let message = ClientMessage(text)
        guard case .malformed(let reason) = message else {
            Issue.record("\(message)")
            return
        }
        #expect(!reason.isEmpty)
    }
}

@Suite("Messages to the client")
struct ServerMessageTests {
    @Test(
        "are what both known clients read",
        arguments: [
            (
                .answer(pcID: "PC-1", sdp: "v=0\r\n"),
                #"{"type":"answer","payload":{"sdp":"v=0\r\n","type":"answer","pc_id":"PC-1"}}"#
            ),
            (
                .error(message: "Missing offer fields"),
                #"{"type":"error","payload":{"message":"Missing offer fields"}}"#
            ),
            (
                .error(message: "Grüße", errorType: "quota_exceeded"),
                #"{"type":"error","payload":{"error_type":"quota_exceeded","message":"Grüße"}}"#
            ),
            (
                .callEnded(runID: 501, pcID: "PC-1", reason: "peer_connection_closed"),
                #"{"type":"call-ended","payload":{"workflow_run_id":501,"pc_id":"PC-1","reason":"peer_connection_closed"}}"#
            ),
            (
                .callEnded(runID: 501, pcID: "PC-1", reason: "peer_connection_closed", detail: "no path"),
                #"{"type":"call-ended","payload":{"workflow_run_id":501,"pc_id":"PC-1","reason":"peer_connection_closed","detail":"no path"}}"#
            ),
            (
                .iceCandidate(pcID: "PC-1", .init(candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0)),
                #"{"type":"ice-candidate","payload":{"pc_id":"PC-1","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}}"#
            ),
            (
                .iceCandidate(pcID: "PC-1", nil),
                #"{"type":"ice-candidate","payload":{"pc_id":"PC-1","candidate":null}}"#
            ),
            (
                .statistics(pcID: "PC-1", ["packets_sent": 7, "dropped": ["early": 1], "pc_id": "another"]),
                #"{"type":"statistics","payload":{"pc_id":"PC-1","packets_sent":7,"dropped":{"early":1}}}"#
            ),
            (.custom(["type": "x", "data": ["a", .null]]), #"{"type":"x","data":["a",null]}"#),
            (.custom(["type": 1]), #"{"type":1}"#),
            (.custom(["type": "rtf-bot-text"]), #"{"type":"rtf-bot-text"}"#),
            (
                .custom(["label": "rtvi-ai", "type": "error", "data": ["fatal": true]]),
                #"{"type":"pipeline-message","payload":{"label":"rtvi-ai","type":"error","data":{"fatal":true}}}"#
            ),
            (.custom(["type": "call-ended"]), #"{"type":"pipeline-message","payload":{"type":"call-ended"}}"#),
            (.custom(["type": "answer"]), #"{"type":"pipeline-message","payload":{"type":"answer"}}"#),
            (.custom(["type": "ice-candidate"]), #"{"type":"pipeline-message","payload":{"type":"ice-candidate"}}"#),
            (.custom(["type": "statistics"]), #"{"type":"pipeline-message","payload":{"type":"statistics"}}"#),
        ] as [(ServerMessage, String)])
    func text(message: ServerMessage, expected: String) throws {
        #expect(try JSONValue(parsing: message.text) == JSONValue(parsing: expected))
        #expect(message.text.utf8.count == expected.utf8.count)
    }
}
