import PatchbayPlugin
import Testing

@testable import PatchbayKit

@Suite("Events of a pipeline", .timeLimit(.minutes(1)))
struct EventTests {
    /// Every event, and its JSON text.
    static let events: [(event: ClientEvent, json: String)] = [
        (
            .userTranscription("Hello", isFinal: false),
            #"{"type":"rtf-user-transcription","payload":{"text":"Hello","final":false}}"#
        ),
        (
            .userTranscription("Hi", isFinal: true, timestamp: "1", endTimestamp: "2", userID: "7"),
            #"{"type":"rtf-user-transcription","payload":{"text":"Hi","final":true,"timestamp":"1","end_timestamp":"2","user_id":"7"}}"#
        ),
        (.botText("Good day"), #"{"type":"rtf-bot-text","payload":{"text":"Good day"}}"#),
        (
            .botText("Good day", timestamp: "3", endTimestamp: "4"),
            #"{"type":"rtf-bot-text","payload":{"text":"Good day","timestamp":"3","end_timestamp":"4"}}"#
        ),
        (
            .functionCallStart(name: "weather", callID: "t1"),
            #"{"type":"rtf-function-call-start","payload":{"function_name":"weather","tool_call_id":"t1"}}"#
        ),
        (
            .functionCallStart(name: "weather", callID: "t1", arguments: ["city": "Oslo"]),
            #"{"type":"rtf-function-call-start","payload":{"function_name":"weather","tool_call_id":"t1","arguments":{"city":"Oslo"}}}"#
        ),
        (
            .functionCallEnd(name: "weather", callID: "t1", result: "rain"),
            #"{"type":"rtf-function-call-end","payload":{"function_name":"weather","tool_call_id":"t1","result":"rain"}}"#
        ),
        (
            .functionCallEnd(name: "weather", callID: "t1", result: nil),
            #"{"type":"rtf-function-call-end","payload":{"function_name":"weather","tool_call_id":"t1","result":null}}"#
        ),
        (
            .timeToFirstByte(.milliseconds(420), processor: "tts", model: "m"),
            #"{"type":"rtf-ttfb-metric","payload":{"ttfb_seconds":0.42,"processor":"tts","model":"m"}}"#
        ),
        (
            .nodeTransition(to: ("2", "Ask"), from: ("1", "Greet"), allowsInterruption: true),
            #"{"type":"rtf-node-transition","payload":{"node_id":"2","node_name":"Ask","previous_node_id":"1","previous_node_name":"Greet","allow_interrupt":true}}"#
        ),
        (
            .nodeTransition(to: ("1", "Greet"), from: nil, allowsInterruption: false),
            #"{"type":"rtf-node-transition","payload":{"node_id":"1","node_name":"Greet","previous_node_id":null,"previous_node_name":null,"allow_interrupt":false}}"#
        ),
        (
            .pipelineError("no voice", isFatal: true),
            #"{"type":"rtf-pipeline-error","payload":{"error":"no voice","fatal":true}}"#
        ),
        (
            .pipelineError("busy", isFatal: false, processor: "llm", details: ["status": 503, "error": "hidden"]),
            #"{"type":"rtf-pipeline-error","payload":{"error":"busy","fatal":false,"processor":"llm","status":503}}"#
        ),
        (.botStartedSpeaking, #"{"type":"rtf-bot-started-speaking","payload":{}}"#),
        (.botStoppedSpeaking, #"{"type":"rtf-bot-stopped-speaking","payload":{}}"#),
        (.userMuteStarted, #"{"type":"rtf-user-mute-started","payload":{}}"#),
        (.userMuteStopped, #"{"type":"rtf-user-mute-stopped","payload":{}}"#),
        (
            ClientEvent("rtf-bot-text", ["text": "a\n\"b\""], nodeID: "2", nodeName: "Ask"),
            #"{"type":"rtf-bot-text","payload":{"text":"a\n\"b\""},"node_id":"2","node_name":"Ask"}"#
        ),
        (ClientEvent("custom", [1, .null]), #"{"type":"custom","payload":[1,null]}"#),
    ]

    @Test("are sent as they are, in their order, behind the answer and before the call's end", arguments: 0..<5)
    func order(trial: Int) async throws {
        let world = World { call, _ in
            for event in Self.events { call.send(event.event) }
        }
        let socket = await world.socket()
        let first = await socket.offer("PC-a")
        let all = Self.events.map { Sent($0.json) }
        #expect(await eventually { first.count + socket.sent.count == all.count + 4 })
        let end = [Sent.callEnded("PC-a", run: 501, reason: "pipeline_finished"), .closedAfterCall]
        #expect(first + socket.take() == Sent.answer("PC-a", to: "v=0") + all + end)
        await socket.close()
    }

    @Test("go to the socket of their own call only")
    func ownSocket() async throws {
        let world = World { call, audio in
            call.send(.botText("user \(call.principal.id)"))
            for await _ in audio.input {}
        }
        let sockets = [await world.socket(user: "7"), await world.socket(user: "8")]
        for socket in sockets {
            let first = await socket.offer("PC-a")
            #expect(await eventually { first.count + socket.sent.count == 3 })
            let text = #"{"type":"rtf-bot-text","payload":{"text":"user \#(socket.user)"}}"#
            #expect(first + socket.take() == Sent.answer("PC-a", to: "v=0") + [Sent(text)])
        }
        for socket in sockets { await socket.close() }
    }

    @Test("of a pipeline that sends on after its call has ended are not sent")
    func afterTheEnd() async throws {
        let (stream, held) = AsyncStream<Void>.makeStream()
        let (finished, finish) = AsyncStream<Void>.makeStream()
        let world = World { call, _ in
            // A detached wait: cancelling the pipeline's task does not end it.
            await Task.detached { for await _ in stream {} }.value
            call.send(.botText("too late"))
            finish.finish()
        }
        let socket = await world.socket()
        await socket.offer("PC-a")
        #expect(await socket.close() == [.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall])
        held.finish()
        for await _ in finished {}
        #expect(socket.sent == [])
    }
}
