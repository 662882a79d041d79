import PatchbayPlugin
import Testing

@testable import WebSocketPipeline

@Suite("Pipecat")
struct PipecatDialectTests {
    private func dialect(greets: Bool = true) -> PipecatDialect { PipecatDialect(.test, greets: greets) }

    private func rtvi(_ type: String, _ data: String = "{}") -> Message {
        .binary(
            PipecatFrame.message(#"{"label":"rtvi-ai","type":"\#(type)","id":"1","data":\#(data)}"#).bytes)
    }

    /// Written by Pipecat's own serializer (protobuf 5).
    @Test(
        "frames are those of Pipecat, byte for byte",
        arguments: [
            (.text("hi"), [0x0a, 0x04, 0x1a, 0x02, 0x68, 0x69]),
            (
                .audio([1, 0, 0xff, 0xff], rate: 16_000, channels: 1),
                [0x12, 0x0b, 0x1a, 0x04, 1, 0, 0xff, 0xff, 0x20, 0x80, 0x7d, 0x28, 0x01]
            ),
            (
                .transcription(text: "a", userID: "7", timestamp: "t"),
                [0x1a, 0x09, 0x1a, 0x01, 0x61, 0x22, 0x01, 0x37, 0x2a, 0x01, 0x74]
            ),
            (.message("{}"), [0x22, 0x04, 0x0a, 0x02, 0x7b, 0x7d]),
            (.interruption, [0x2a, 0x00]),
        ] as [(PipecatFrame, [UInt8])])
    func bytes(frame: PipecatFrame, bytes: [UInt8]) {
        #expect(frame.bytes == bytes)
        #expect(PipecatFrame(bytes) == frame)
        // With a number, a name, and fields of days to come: a varint, a fixed64, a fixed32.
        let content =
            bytes[2...] + [0x08, 0x05, 0x12, 0x01, 0x6e, 0x38, 0xac, 0x02] + [0x41] + [UInt8](repeating: 9, count: 8)
            + [0x4d, 1, 2, 3, 4]
        if bytes[0] != 0x22 {
            #expect(PipecatFrame([bytes[0], UInt8(content.count)] + content) == frame)
        }
    }

    @Test(
        "what is no frame is refused",
        arguments: [
            [0x0a], [0x0a, 0x05, 0x1a], [0x00, 0x00], [0x0f], [0x80], [UInt8](repeating: 0xff, count: 12),
            [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [0x12, 0x02, 0x1a, 0x7f], [0x0b],
            // A rate of 2^64 - 1.
            [0x12, 0x0b, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ] as [[UInt8]])
    func garbage(bytes: [UInt8]) {
        var dialect = dialect()
        #expect(PipecatFrame(bytes) == nil)
        #expect(throws: DialectFault.self) { try dialect.received(.binary(bytes)) }
    }

    @Test("the bot is told that the client is ready, and of the call; then each frame is sound")
    func opening() throws {
        var dialect = dialect()
        let actions = dialect.opened()
        #expect(actions.reported == [], "the bot says itself when it is ready")
        #expect(actions.sent.map { $0["type"] } == ["client-ready", "client-message"])
        #expect(actions.sent.allSatisfy { $0["label"] == "rtvi-ai" && $0["id"]?.string?.isEmpty == false })
        #expect(actions.sent.first?["data"]?["version"]?.string?.hasPrefix("2.") == true)
        #expect(actions.sent.last?["data"]?["d"]?["variables"] == ["name": "Ada", "age": 36])
        #expect(
            dialect.heard(PCMFrame([1, -1], sampleRate: 16_000))
                == .binary(PipecatFrame.audio([1, 0, 0xff, 0xff], rate: 16_000, channels: 1).bytes))
        #expect(dialect.pressed("5")?.json?["data"] == ["buttons": ["5"]])
        #expect(dialect.said(["label": "rtvi-ai", "type": "x"])?.json == ["label": "rtvi-ai", "type": "x"])
        #expect(dialect.closing()?.json?["type"] == "disconnect-bot")
        var quiet = self.dialect(greets: false)
        #expect(quiet.opened() == [.report(.ready)])
    }

    @Test("sound is played at its own rate, two channels mixed to one")
    func sound() throws {
        var dialect = dialect()
        let mono = PipecatFrame.audio([1, 0, 2, 0], rate: 24_000, channels: 1)
        #expect(try dialect.received(.binary(mono.bytes)) == [.play([1, 2], rate: 24_000)])
        let stereo = PipecatFrame.audio([2, 0, 4, 0, 6, 0, 8, 0, 1], rate: 16_000, channels: 2)
        #expect(try dialect.received(.binary(stereo.bytes)) == [.play([3, 7], rate: 16_000)])
        let odd = PipecatFrame.audio([2, 0], rate: 16_000, channels: 3)
        #expect(throws: DialectFault.self) { try dialect.received(.binary(odd.bytes)) }
    }

    @Test("an interruption drops what is queued; a bot that only says it in RTVI is understood too")
    func interruption() throws {
        var modern = dialect()
        #expect(try modern.received(.binary(PipecatFrame.interruption.bytes)) == [.clear])
        #expect(try !modern.received(rtvi("bot-interrupted")).contains(.clear), "it was said once")
        #expect(try !modern.received(rtvi("user-started-speaking")).contains(.clear), "it will be said")
        var old = dialect()
        // Said of what it sent: the caller may hear that for seconds to come.
        _ = try old.received(rtvi("bot-stopped-speaking"))
        #expect(try old.received(rtvi("user-started-speaking")).prefix(2) == [.report(.userStartedSpeaking), .clear])
        #expect(try old.received(rtvi("bot-interrupted")).contains(.clear))
    }

    @Test(
        "RTVI messages go on to the client as they are, and become events",
        arguments: [
            ("bot-ready", #"{"version":"2.0.0"}"#, .ready),
            ("user-stopped-speaking", "{}", .userStoppedSpeaking),
            (
                "user-transcription", #"{"text":"a","final":false,"timestamp":"t","user_id":"7"}"#,
                .userText(SpokenText("a", isFinal: false, timestamp: "t", userID: "7"))
            ),
            ("bot-tts-text", #"{"text":"a"}"#, .botText(SpokenText("a"))),
            (
                "llm-function-call-in-progress", #"{"tool_call_id":"c","function_name":"f","arguments":{"a":1}}"#,
                .toolStarted(name: "f", callID: "c", arguments: ["a": 1])
            ),
            (
                "llm-function-call-stopped", #"{"tool_call_id":"c","function_name":"f","result":{"a":1}}"#,
                .toolEnded(name: "f", callID: "c", result: #"{"a":1}"#)
            ),
            (
                "metrics", #"{"ttfb":[{"processor":"LLM#0","value":0.25,"model":"m"}]}"#,
                .timeToFirstByte(.milliseconds(250), processor: "LLM#0", model: "m")
            ),
            ("error", #"{"error":"no","fatal":true}"#, .error(PipelineError("no", isFatal: true))),
            ("user-mute-started", "{}", .userMuteStarted), ("bot-llm-started", "{}", nil),
            (
                "metrics", #"{"ttfb":[{"processor":"x","value":-1e300}]}"#,
                .timeToFirstByte(.zero, processor: "x", model: "")
            ),
        ] as [(String, String, CallEvent?)])
    func events(type: String, data: String, event: CallEvent?) throws {
        var dialect = dialect()
        let message = rtvi(type, data)
        let actions = try dialect.received(message)
        #expect(actions.reported == [event].compactMap(\.self))
        #expect(actions.last == .forward(try #require(message.json)))
    }

    @Test("damaged frames are refused or understood, and nothing else")
    func damaged() {
        var dialect = dialect()
        let messages: [Message] = [
            .binary(PipecatFrame.audio([UInt8](0..<40), rate: 24_000, channels: 2).bytes),
            .binary(PipecatFrame.transcription(text: "hello", userID: "7", timestamp: "t").bytes),
            rtvi("user-transcription", #"{"text":"a","final":false}"#),
            rtvi("metrics", #"{"ttfb":[{"processor":"x","value":0.5}]}"#),
        ]
        let bytes = messages.compactMap { if case .binary(let bytes) = $0 { bytes } else { nil } }
        let refused = damage(bytes, rounds: 5000) { _ = try dialect.received(.binary($0)) }
        #expect(refused > 2000)
    }

    @Test("30 minutes both ways, with words among the sound, are as many samples as went in, and nothing is kept")
    func long() throws {
        var dialect = dialect()
        _ = dialect.opened()
        let before = held(by: dialect)
        var (sent, played) = (0, 0)
        for number in 0..<90_000 {
            guard case .binary(let bytes)? = dialect.heard(frame(number, rate: 16_000)),
                case .audio(let samples, 16_000, 1)? = PipecatFrame(bytes)
            else {
                Issue.record("frame \(number) is no sound")
                return
            }
            sent += samples.count / 2
            // Pieces of a size that fits no frame, in two channels now and then.
            let isStereo = number % 100 == 0
            let sound = [UInt8](repeating: 1, count: 2 * (479 + number % 3) * (isStereo ? 2 : 1))
            let piece = PipecatFrame.audio(sound, rate: 24_000, channels: isStereo ? 2 : 1)
            if case .play(let samples, 24_000)? = try dialect.received(.binary(piece.bytes)).first {
                played += samples.count
            }
            guard number % 50 == 0 else { continue }
            _ = try dialect.received(rtvi("bot-tts-text", #"{"text":"word \#(number)"}"#))
            _ = try dialect.received(rtvi("llm-function-call-in-progress", #"{"tool_call_id":"\#(number)"}"#))
        }
        #expect(sent == 90_000 * 320)
        #expect(played == 90_000 * 480)
        #expect(held(by: dialect) == before)
    }
}
