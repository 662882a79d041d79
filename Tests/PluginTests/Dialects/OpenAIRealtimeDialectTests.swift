import PatchbayPlugin
import Testing

@testable import WebSocketPipeline

@Suite("OpenAI Realtime")
struct OpenAIRealtimeDialectTests {
    private let session: JSONValue = [
        "instructions": "Talk to {{name}}, who is {{age}}. {{unknown}}",
        "audio": ["input": ["turn_detection": ["type": "server_vad"]], "output": ["voice": "marin"]],
    ]

    private func dialect(speaksFirst: Bool = false) -> OpenAIRealtimeDialect {
        OpenAIRealtimeDialect(.test, session: session, speaksFirst: speaksFirst)
    }

    private func delta(
        _ milliseconds: Int, item: String = "i1", response: String = "r1", type: String = "response.output_audio.delta"
    ) -> String {
        let sound = base64([UInt8](repeating: 0, count: 48 * milliseconds))
        return
            #"{"type":"\#(type)","response_id":"\#(response)","item_id":"\#(item)","output_index":0,"content_index":0,"delta":"\#(sound)"}"#
    }

    @Test(
        "the session is what the configuration says, with the call's variables and our sound", arguments: [true, false])
    func opening(speaksFirst: Bool) throws {
        var dialect = dialect(speaksFirst: speaksFirst)
        let sent = dialect.opened().sent
        #expect(
            sent.first == [
                "type": "session.update",
                "session": [
                    "type": "realtime", "instructions": "Talk to Ada, who is 36. {{unknown}}",
                    "audio": [
                        "input": [
                            "turn_detection": ["type": "server_vad"], "format": ["type": "audio/pcm", "rate": 24_000],
                        ],
                        "output": ["voice": "marin", "format": ["type": "audio/pcm", "rate": 24_000]],
                    ],
                ],
            ])
        #expect(sent.dropFirst() == (speaksFirst ? [["type": "response.create"]] : []))
        #expect(try dialect.received(#"{"type":"session.created","session":{}}"#) == [])
        #expect(try dialect.received(#"{"type":"session.updated","session":{}}"#) == [.report(.ready)])
        #expect(try dialect.received(#"{"type":"session.updated","session":{}}"#) == [])
        #expect(
            dialect.heard(PCMFrame([1, -1], sampleRate: 24_000))?.json
                == ["type": "input_audio_buffer.append", "audio": .string(base64([1, 0, 0xff, 0xff]))])
    }

    @Test("a session that is written as the beta has it is sent so")
    func beta() {
        let session: JSONValue = [
            "instructions": "Talk to {{name}}.", "modalities": ["text", "audio"], "voice": "alloy",
            "turn_detection": ["type": "server_vad"],
        ]
        var dialect = OpenAIRealtimeDialect(.test, session: session, speaksFirst: false)
        #expect(
            dialect.opened().sent == [
                [
                    "type": "session.update",
                    "session": [
                        "instructions": "Talk to Ada.", "modalities": ["text", "audio"], "voice": "alloy",
                        "turn_detection": ["type": "server_vad"], "input_audio_format": "pcm16",
                        "output_audio_format": "pcm16",
                    ],
                ]
            ])
    }

    @Test(
        "who speaks up interrupts, unless the session says otherwise, where the beta has it too",
        arguments: [
            (["audio": ["input": ["turn_detection": ["interrupt_response": false]]]], false),
            (["turn_detection": ["interrupt_response": false]], false),
            (["turn_detection": ["interrupt_response": true]], true), ([:], true),
        ] as [(JSONValue, Bool)])
    func interrupting(session: JSONValue, interrupts: Bool) throws {
        var dialect = OpenAIRealtimeDialect(.test, session: session, speaksFirst: false)
        let actions = try dialect.received(#"{"type":"input_audio_buffer.speech_started","item_id":"u"}"#)
        #expect(actions == [.report(.userStartedSpeaking)] + (interrupts ? [.clear] : []))
    }

    @Test("sound is played, by its name of today and of the beta", arguments: ["output_audio", "audio"])
    func sound(name: String) throws {
        var dialect = dialect()
        #expect(
            try dialect.received(delta(20, type: "response.\(name).delta"))
                == [.play([Int16](repeating: 0, count: 480), rate: 24_000)])
    }

    @Test(
        "an interruption cuts the item that is being heard to what was heard of it",
        arguments: [
            (0, "i1", 0), (1, "i1", 1), (999, "i1", 999), (1000, "i2", 0), (1499, "i2", 499), (1500, nil, 0),
        ] as [(Int, String?, Int)])
    func interruption(heard: Int, item: String?, end: Int) throws {
        var dialect = dialect()
        for _ in 0..<10 { _ = try dialect.received(delta(100)) }
        _ = try dialect.received(delta(500, item: "i2"))
        #expect(
            try dialect.received(#"{"type":"input_audio_buffer.speech_started","audio_start_ms":5,"item_id":"u"}"#)
                == [.report(.userStartedSpeaking), .clear])
        let messages = dialect.cleared(at: .milliseconds(heard)).map(\.json)
        guard let item else {
            #expect(messages == [], "all was heard")
            return
        }
        #expect(
            messages == [
                [
                    "type": "conversation.item.truncate", "item_id": .string(item), "content_index": 0,
                    "audio_end_ms": .integer(end),
                ]
            ])
        #expect(dialect.cleared(at: .milliseconds(heard)) == [], "once")
        // What was on its way of the answer is not heard, the next answer is.
        #expect(try dialect.received(delta(20)) == [])
        let next = try dialect.received(delta(20, item: "i3", response: "r2"))
        #expect(next == [.play([Int16](repeating: 0, count: 480), rate: 24_000)])
        // It begins behind the 1500 ms of before, all of them played or dropped.
        #expect(dialect.cleared(at: .milliseconds(1510)).first?.json?["audio_end_ms"] == 10)
    }

    @Test(
        "what is said becomes events",
        arguments: [
            (
                #"{"type":"conversation.item.input_audio_transcription.delta","item_id":"u","delta":"Hel"}"#,
                .userText(SpokenText("Hel", isFinal: false))
            ),
            (
                #"{"type":"conversation.item.input_audio_transcription.completed","item_id":"u","transcript":"Hello"}"#,
                .userText(SpokenText("Hello"))
            ),
            (#"{"type":"response.output_audio_transcript.done","transcript":"Hi"}"#, .botText(SpokenText("Hi"))),
            (#"{"type":"response.audio_transcript.done","transcript":"Hi"}"#, .botText(SpokenText("Hi"))),
            (#"{"type":"response.text.done","text":"Hi"}"#, .botText(SpokenText("Hi"))),
            (#"{"type":"input_audio_buffer.speech_stopped","audio_end_ms":5}"#, .userStoppedSpeaking),
            (
                #"{"type":"response.function_call_arguments.done","call_id":"c","name":"f","arguments":"{\"a\":1}"}"#,
                .toolStarted(name: "f", callID: "c", arguments: ["a": 1])
            ),
            (
                #"{"type":"response.function_call_arguments.done","call_id":"c","name":"f","arguments":"{"}"#,
                .toolStarted(name: "f", callID: "c", arguments: "{")
            ),
            (
                #"{"type":"error","error":{"type":"t","code":"c","message":"no","param":null}}"#,
                .error(PipelineError("no", details: ["type": "t", "code": "c"]))
            ),
            (
                #"{"type":"conversation.item.input_audio_transcription.failed","item_id":"u","error":{"code":"c","message":"no words"}}"#,
                .error(PipelineError("no words", details: ["code": "c"]))
            ),
            (
                #"{"type":"response.done","response":{"id":"r","status":"failed","status_details":{"error":{"message":"quota"}}}}"#,
                .error(PipelineError("quota"))
            ),
        ] as [(String, CallEvent)])
    func events(text: String, event: CallEvent) throws {
        var dialect = dialect()
        #expect(try dialect.received(text) == [.report(event)])
    }

    @Test("a tool's answer has the name that its call had")
    func tools() throws {
        var dialect = dialect()
        _ = try dialect.received(
            #"{"type":"response.function_call_arguments.done","call_id":"c","name":"f","arguments":"{}"}"#)
        let item = #"{"type":"function_call_output","call_id":"c","output":"rain"}"#
        #expect(
            try dialect.received(#"{"type":"conversation.item.created","item":\#(item)}"#)
                == [.report(.toolEnded(name: "f", callID: "c", result: "rain"))])
    }

    @Test(
        "what does not concern the call is passed over",
        arguments: [
            #"{"type":"rate_limits.updated"}"#, #"{"type":"response.done","response":{"status":"cancelled"}}"#,
            #"{"type":"response.output_audio_transcript.done","transcript":""}"#, #"{"type":"new.in.2027"}"#,
        ])
    func others(text: String) throws {
        var dialect = dialect()
        #expect(try dialect.received(text) == [])
    }

    @Test("what no such server says is refused", arguments: ["", "{}", "[1]", #"{"type":"response.audio.delta"}"#])
    func garbage(text: String) {
        var dialect = dialect()
        #expect(throws: DialectFault.self) { try dialect.received(text) }
        #expect(throws: DialectFault.self) { try dialect.received(.binary([])) }
    }

    @Test("damaged messages are refused or understood, and nothing else")
    func damaged() {
        var dialect = dialect()
        let messages = [
            delta(2), #"{"type":"input_audio_buffer.speech_started","audio_start_ms":5,"item_id":"u"}"#,
            #"{"type":"response.function_call_arguments.done","call_id":"c","name":"f","arguments":"{\"a\":1}"}"#,
        ].map { Array($0.utf8) }
        let refused = damage(messages, rounds: 3000) { bytes in
            let actions = try dialect.received(.text(String(decoding: bytes, as: UTF8.self)))
            if actions.contains(.clear) { _ = dialect.cleared(at: .milliseconds(1)) }
        }
        #expect(refused > 3000)
    }

    @Test("30 minutes of answers, every other one interrupted, keep the milliseconds exact and grow nothing")
    func long() throws {
        var dialect = dialect()
        var sizes: Set<Int> = []
        for number in 100..<700 {
            for _ in 0..<30 { _ = try dialect.received(delta(100, item: "i\(number)", response: "r\(number)")) }
            if number % 2 == 1 {
                let heard = Duration.milliseconds((number - 100) * 3000 + 1234)
                let message = try #require(dialect.cleared(at: heard).first?.json)
                #expect(message["item_id"] == .string("i\(number)"))
                #expect(message["audio_end_ms"] == 1234)
            }
            _ = try dialect.received(#"{"type":"response.done","response":{"id":"r\#(number)","status":"completed"}}"#)
            if number % 2 == 1 { sizes.insert(held(by: dialect)) }
        }
        #expect(sizes.count == 1, "as much after each turn")
    }

    @Test("no more is kept of a server that is never interrupted, or never says that an answer is whole")
    func endless() throws {
        var (heardOut, cut) = (dialect(), dialect())
        var sizes: [(Int, Int)] = []
        for number in 1000..<2000 {
            let sound = delta(2, item: "i\(number)", response: "r\(number)")
            _ = try heardOut.received(sound)
            _ = try cut.received(sound)
            _ = cut.cleared(at: .zero)
            let call = #"{"type":"response.function_call_arguments.done","call_id":"\#(number)","name":"f"}"#
            _ = try heardOut.received(call)
            sizes.append((held(by: heardOut), held(by: cut)))
        }
        let early = sizes.prefix(200)
        #expect(sizes.map(\.0).max() == early.map(\.0).max())
        #expect(sizes.map(\.1).max() == early.map(\.1).max())
    }
}
