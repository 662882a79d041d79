import PatchbayPlugin
import Testing

@testable import Signaling

@Suite("Events as messages to the client")
struct RealtimeFeedbackTests {
    @Test(
        "have the payload that clients read",
        arguments: [
            (.userText(SpokenText("a")), "rtf-user-transcription", #"{"final":true,"text":"a"}"#),
            (
                .userText(SpokenText("a", isFinal: false, timestamp: "t", endTimestamp: "e", userID: "7")),
                "rtf-user-transcription",
                #"{"end_timestamp":"e","final":false,"text":"a","timestamp":"t","user_id":"7"}"#
            ),
            (
                .userText(SpokenText("", isFinal: false, endTimestamp: "e")), "rtf-user-transcription",
                #"{"end_timestamp":"e","final":false,"text":""}"#
            ),
            (.botText(SpokenText("a")), "rtf-bot-text", #"{"text":"a"}"#),
            (.botText(SpokenText("a", timestamp: "t")), "rtf-bot-text", #"{"text":"a","timestamp":"t"}"#),
            (
                .toolStarted(name: "f", callID: "c"), "rtf-function-call-start",
                #"{"function_name":"f","tool_call_id":"c"}"#
            ),
            (
                .toolStarted(name: "f", callID: "c", arguments: [:]), "rtf-function-call-start",
                #"{"arguments":{},"function_name":"f","tool_call_id":"c"}"#
            ),
            (
                .toolEnded(name: "f", callID: "c", result: "r"), "rtf-function-call-end",
                #"{"function_name":"f","result":"r","tool_call_id":"c"}"#
            ),
            (
                .toolEnded(name: "f", callID: "c", result: nil), "rtf-function-call-end",
                #"{"function_name":"f","result":null,"tool_call_id":"c"}"#
            ),
            (
                .timeToFirstByte(.milliseconds(250), processor: "p", model: "m"), "rtf-ttfb-metric",
                #"{"model":"m","processor":"p","ttfb_seconds":0.25}"#
            ),
            (.latency(.milliseconds(640)), "rtf-latency-measured", #"{"latency_seconds":0.64}"#),
            (
                .stepChanged(
                    to: WorkflowStep(id: "2", name: "b"), from: WorkflowStep(id: "1", name: "a"),
                    allowsInterruption: true), "rtf-node-transition",
                #"{"allow_interrupt":true,"node_id":"2","node_name":"b","previous_node_id":"1","previous_node_name":"a"}"#
            ),
            (
                .stepChanged(to: WorkflowStep(id: "1", name: "a"), from: nil, allowsInterruption: false),
                "rtf-node-transition",
                #"{"allow_interrupt":false,"node_id":"1","node_name":"a","previous_node_id":null,"previous_node_name":null}"#
            ),
            (.error(PipelineError("e", isFatal: true)), "rtf-pipeline-error", #"{"error":"e","fatal":true}"#),
            (
                .error(PipelineError("e", processor: "p", details: ["code": 1, "fatal": true, "error": "x"])),
                "rtf-pipeline-error", #"{"code":1,"error":"e","fatal":false,"processor":"p"}"#
            ),
            (.botStartedSpeaking, "rtf-bot-started-speaking", "{}"),
            (.botStoppedSpeaking, "rtf-bot-stopped-speaking", "{}"),
            (.userMuteStarted, "rtf-user-mute-started", "{}"),
            (.userMuteStopped, "rtf-user-mute-stopped", "{}"),
        ] as [(CallEvent, String, String)])
    func payload(event: CallEvent, type: String, json: String) throws {
        let message = try #require(ServerMessage(feedback: event))
        #expect(message.text == #"{"payload":\#(json),"type":"\#(type)"}"#)
        let step = try #require(ServerMessage(feedback: event, step: WorkflowStep(id: "2", name: "Ask \"Hi\"")))
        #expect(
            step.text == #"{"node_id":"2","node_name":"Ask \"Hi\"","payload":\#(json),"type":"\#(type)"}"#)
    }

    @Test(
        "are none where these clients know none",
        arguments: [
            .ready, .userStartedSpeaking, .userStoppedSpeaking, .interrupted, .keyPressed("1"), .ended(reason: "x"),
            .botText(SpokenText("One mom", isFinal: false)),
        ] as [CallEvent])
    func unknown(event: CallEvent) {
        #expect(ServerMessage(feedback: event) == nil)
    }
}
