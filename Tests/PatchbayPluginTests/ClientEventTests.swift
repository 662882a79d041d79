import PatchbayPlugin
import Testing

@Suite("Events for the client")
struct ClientEventTests {
    @Test(
        "have the payload that clients read",
        arguments: [
            (.userTranscription("a", isFinal: true), "rtf-user-transcription", #"{"final":true,"text":"a"}"#),
            (
                .userTranscription("a", isFinal: false, timestamp: "t", endTimestamp: "e", userID: "7"),
                "rtf-user-transcription",
                #"{"end_timestamp":"e","final":false,"text":"a","timestamp":"t","user_id":"7"}"#
            ),
            (
                .userTranscription("", isFinal: false, endTimestamp: "e"), "rtf-user-transcription",
                #"{"end_timestamp":"e","final":false,"text":""}"#
            ),
            (.botText("a"), "rtf-bot-text", #"{"text":"a"}"#),
            (.botText("a", timestamp: "t"), "rtf-bot-text", #"{"text":"a","timestamp":"t"}"#),
            (
                .functionCallStart(name: "f", callID: "c"), "rtf-function-call-start",
                #"{"function_name":"f","tool_call_id":"c"}"#
            ),
            (
                .functionCallStart(name: "f", callID: "c", arguments: [:]), "rtf-function-call-start",
                #"{"arguments":{},"function_name":"f","tool_call_id":"c"}"#
            ),
            (
                .functionCallEnd(name: "f", callID: "c", result: "r"), "rtf-function-call-end",
                #"{"function_name":"f","result":"r","tool_call_id":"c"}"#
            ),
            (
                .functionCallEnd(name: "f", callID: "c", result: nil), "rtf-function-call-end",
                #"{"function_name":"f","result":null,"tool_call_id":"c"}"#
            ),
            (
                .timeToFirstByte(.milliseconds(250), processor: "p", model: "m"), "rtf-ttfb-metric",
                #"{"model":"m","processor":"p","ttfb_seconds":0.25}"#
            ),
            (
                .nodeTransition(to: ("2", "b"), from: ("1", "a"), allowsInterruption: true), "rtf-node-transition",
                #"{"allow_interrupt":true,"node_id":"2","node_name":"b","previous_node_id":"1","previous_node_name":"a"}"#
            ),
            (
                .nodeTransition(to: ("1", "a"), from: nil, allowsInterruption: false), "rtf-node-transition",
                #"{"allow_interrupt":false,"node_id":"1","node_name":"a","previous_node_id":null,"previous_node_name":null}"#
            ),
            (.pipelineError("e", isFatal: true), "rtf-pipeline-error", #"{"error":"e","fatal":true}"#),
            (
                .pipelineError("e", isFatal: false, processor: "p", details: ["code": 1, "fatal": true]),
                "rtf-pipeline-error", #"{"code":1,"error":"e","fatal":false,"processor":"p"}"#
            ),
            (.botStartedSpeaking, "rtf-bot-started-speaking", "{}"),
            (.botStoppedSpeaking, "rtf-bot-stopped-speaking", "{}"),
            (.userMuteStarted, "rtf-user-mute-started", "{}"),
            (.userMuteStopped, "rtf-user-mute-stopped", "{}"),
        ] as [(ClientEvent, String, String)])
    func payload(event: ClientEvent, type: String, json: String) {
        #expect(event.type == type)
        #expect(event.payload.description == json)
        #expect(event.nodeID == nil)
        #expect(event.nodeName == nil)
    }

    @Test("keep the step they come from beside their payload")
    func node() {
        let event = ClientEvent("x", nodeID: "2", nodeName: "Ask")
        #expect((event.payload, event.nodeID, event.nodeName) == ([:], "2", "Ask"))
        var text = ClientEvent.botText("a")
        text.nodeID = "2"
        #expect(text.payload == ["text": "a"])
        #expect(text != .botText("a"))
    }
}
