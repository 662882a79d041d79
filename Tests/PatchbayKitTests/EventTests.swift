import PatchbayConfig
import PatchbayPlugin
import Testing

@testable import PatchbayKit

@Suite("Events of a pipeline", .timeLimit(.minutes(1)))
struct EventTests {
    static let text = #"{"type":"rtf-bot-text","payload":{"text":"Good day"}}"#

    @Test("are sent in their order, behind the answer and before the call's end", arguments: 0..<5)
    func order(trial: Int) async throws {
        let world = World { call, _ in
            for number in 0..<50 { call.report(.botText(SpokenText("\(number)"))) }
            call.send(["type": "custom", "data": [1, .null]])
        }
        let socket = await world.socket()
        let first = await socket.offer("PC-a")
        let all =
            (0..<50).map { Sent(#"{"type":"rtf-bot-text","payload":{"text":"\#($0)"}}"#) }
            + [Sent(#"{"type":"custom","data":[1,null]}"#)]
        #expect(await eventually { first.count + socket.sent.count == all.count + 4 })
        let end = [Sent.callEnded("PC-a", run: 501, reason: "pipeline_finished"), .closedAfterCall]
        #expect(first + socket.take() == Sent.answer("PC-a", to: "v=0") + all + end)
        await socket.close()
    }

    @Test(
        "are shown to the client as far as its tenant says",
        arguments: [
            (.none, []), (.transcript, [0, 3]), (.all, [0, 1, 2, 3, 4, 5]),
        ] as [(EventExposure, [Int])])
    func exposure(exposure: EventExposure, shown: [Int]) async throws {
        let world = World(events: exposure) { call, _ in
            call.report(.userText(SpokenText("Hello", isFinal: false)))
            call.report(.toolStarted(name: "f", callID: "c"))
            call.report(.error(PipelineError("secret")))
            call.report(.botText(SpokenText("Good day")))
            call.send(["type": "custom"])
            call.report(.timeToFirstByte(.milliseconds(500), processor: "p", model: "m"))
        }
        let all = [
            #"{"type":"rtf-user-transcription","payload":{"text":"Hello","final":false}}"#,
            #"{"type":"rtf-function-call-start","payload":{"function_name":"f","tool_call_id":"c"}}"#,
            #"{"type":"rtf-pipeline-error","payload":{"error":"secret","fatal":false}}"#, Self.text,
            #"{"type":"custom"}"#,
            #"{"type":"rtf-ttfb-metric","payload":{"ttfb_seconds":0.5,"processor":"p","model":"m"}}"#,
        ]
        let socket = await world.socket()
        let first = await socket.offer("PC-a")
        #expect(await eventually { first.count + socket.sent.count == shown.count + 4 })
        let end = [Sent.callEnded("PC-a", run: 501, reason: "pipeline_finished"), .closedAfterCall]
        #expect(first + socket.take() == Sent.answer("PC-a", to: "v=0") + shown.map { Sent(all[$0]) } + end)
        await socket.close()
    }

    @Test("name the step of the workflow from its first on")
    func steps() async throws {
        let world = World { call, _ in
            call.report(.botText(SpokenText("Good day")))
            call.report(.stepChanged(to: WorkflowStep(id: "2", name: "Ask"), from: nil, allowsInterruption: true))
            call.report(.botText(SpokenText("Who?")))
        }
        let socket = await world.socket()
        let first = await socket.offer("PC-a")
        #expect(await eventually { first.count + socket.sent.count == 7 })
        let texts = [
            Self.text,
            #"{"type":"rtf-node-transition","payload":{"node_id":"2","node_name":"Ask","previous_node_id":null,"previous_node_name":null,"allow_interrupt":true},"node_id":"2","node_name":"Ask"}"#,
            #"{"type":"rtf-bot-text","payload":{"text":"Who?"},"node_id":"2","node_name":"Ask"}"#,
        ]
        let sent = first + socket.take()
        #expect(Array(sent.dropFirst(2).prefix(3)) == texts.map { Sent($0) })
        await socket.close()
    }

    @Test("are followed by the pipeline too, with what the gateway tells; what only the gateway knows is not believed")
    func following() async throws {
        let (seen, see) = AsyncStream<[CallEvent]>.makeStream()
        let world = World { call, audio in
            let events = call.events()
            call.report(.botStartedSpeaking)
            call.report(.ended(reason: "no"))
            call.report(.ready)
            Task {
                var all: [CallEvent] = []
                for await event in events { all.append(event) }
                see.yield(all)
            }
        }
        let socket = await world.socket()
        await socket.offer("PC-a")
        var all = seen.makeAsyncIterator()
        #expect(await all.next() == [.ready, .ended(reason: "pipeline_finished")])
        await socket.close()
    }

    @Test("of the client reach a pipeline whose client may see everything, and no other", arguments: [true, false])
    func fromClient(isTrusted: Bool) async throws {
        let world = World(events: isTrusted ? .all : .transcript) { call, audio in
            for await message in call.messages { call.report(.botText(SpokenText(message.description))) }
        }
        let socket = await world.socket()
        await socket.offer("PC-a")
        var sent = await socket.send(#"{"type":"pipeline-message","payload":{"a":1}}"#)
        sent += await socket.send(#"{"label":"rtvi-ai","type":"send-text","id":"1","data":{"content":"hi"}}"#)
        let texts = [
            #"{"a":1}"#, #"{"data":{"content":"hi"},"id":"1","label":"rtvi-ai","type":"send-text"}"#,
        ]
        if isTrusted {
            #expect(await eventually { sent.count + socket.sent.count == 2 })
        } else {
            try await Task.sleep(for: .milliseconds(100))
        }
        let expected = texts.map { text in
            Sent((["type": "rtf-bot-text", "payload": ["text": .string(text)]] as JSONValue).description)
        }
        #expect(sent + socket.take() == (isTrusted ? expected : []))
        await socket.close()
    }

    @Test("go to the socket of their own call only")
    func ownSocket() async throws {
        let world = World { call, audio in
            call.report(.botText(SpokenText("user \(call.principal.id)")))
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
            call.report(.botText(SpokenText("too late")))
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
