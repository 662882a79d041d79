import PatchbayPlugin
import Testing

@testable import WebSocketPipeline

@Suite("Raw PCM")
struct PCMDialectTests {
    private func dialect() -> PCMDialect {
        PCMDialect(.test, audio: AudioFormat(inputRate: 16_000, outputRate: 24_000))
    }

    @Test("the first message says what call it is, and the rates both ways")
    func opening() {
        var dialect = dialect()
        let actions = dialect.opened()
        #expect(actions.reported == [.ready])
        let first = actions.sent.first
        #expect(first?["callSid"] == "0a1b2c3d-4e5f-6789-abcd-ef0123456789")
        #expect(first?["sampleRate"] == 16_000 && first?["mixType"] == "mono")
        #expect(first?["bidirectionalAudio"] == ["enabled": true, "streaming": true, "sampleRate": 24_000])
        #expect(first?["metadata"] == ["name": "Ada", "age": 36])
    }

    @Test("sound is binary both ways, and a sample may be split between two messages")
    func sound() throws {
        var dialect = dialect()
        #expect(dialect.heard(PCMFrame([1, -1], sampleRate: 16_000)) == .binary([1, 0, 0xff, 0xff]))
        #expect(try dialect.received(.binary([1, 0, 2])) == [.play([1], rate: 24_000)])
        #expect(try dialect.received(.binary([0, 3, 0])) == [.play([2, 3], rate: 24_000)])
        #expect(try dialect.received(.binary([])) == [.play([], rate: 24_000)])
        #expect(try dialect.received(.binary([7])) == [.play([], rate: 24_000)])
        #expect(try dialect.received(#"{"type":"killAudio"}"#) == [.clear])
        #expect(try dialect.received(.binary([4, 0])) == [.play([4], rate: 24_000)], "the half was dropped, too")
    }

    @Test(
        "commands are done",
        arguments: [
            (#"{"type":"killAudio"}"#, [.clear]), (#"{"type":"mark","data":{"name":"x"}}"#, [.mark("x")]),
            (#"{"type":"clearMarks"}"#, [.forgetMarks]), (#"{"type":"disconnect"}"#, [.hangUp]),
            (#"{"type":"playDone"}"#, [.passOver("the type 'playDone'")]),
            (#"{"type":"message","data":{"a":1}}"#, [.forward(["a": 1])]),
            (
                #"{"type":"event","data":{"name":"user-text","text":"a","final":false}}"#,
                [.report(.userText(SpokenText("a", isFinal: false)))]
            ),
            (#"{"type":"event","data":{"name":"bot-text","text":"a"}}"#, [.report(.botText(SpokenText("a")))]),
            (
                #"{"type":"event","data":{"name":"tool-ended","tool":"f","id":"c","result":[1]}}"#,
                [.report(.toolEnded(name: "f", callID: "c", result: "[1]"))]
            ),
            (#"{"type":"event","data":{"name":"bot-text"}}"#, []),
            (#"{"type":"event","data":{"name":"bot-started-speaking"}}"#, []),
        ] as [(String, [Action])])
    func commands(text: String, actions: [Action]) throws {
        var dialect = dialect()
        #expect(try dialect.received(text) == actions)
    }

    @Test("the bot is told of keys, marks and the client's messages")
    func toBot() {
        var dialect = dialect()
        #expect(dialect.pressed("2")?.json == ["event": "dtmf", "dtmf": "2", "duration": "1600"])
        #expect(
            dialect.settled(mark: "x", .played)?.json
                == ["type": "mark", "data": ["name": "x", "event": "playout"]])
        #expect(dialect.settled(mark: "x", .cleared)?.json?["data"]?["event"] == "cleared")
        #expect(dialect.said(["a": 1])?.json == ["event": "message", "data": ["a": 1]])
        #expect(dialect.closing() == nil)
    }

    @Test("what no bot says is refused", arguments: ["", "{}", "[]", "hello", #"{"type":"mark"}"#])
    func garbage(text: String) {
        var dialect = dialect()
        #expect(throws: DialectFault.self) { try dialect.received(text) }
    }

    @Test("damaged messages are refused or understood, and nothing else")
    func damaged() {
        var dialect = dialect()
        let messages = [
            #"{"type":"mark","data":{"name":"x"}}"#, #"{"type":"event","data":{"name":"bot-text","text":"a"}}"#,
        ].map { Array($0.utf8) }
        let refused = damage(messages, rounds: 3000) { bytes in
            _ = try dialect.received(.binary(bytes))
            _ = try dialect.received(.text(String(decoding: bytes, as: UTF8.self)))
        }
        #expect(refused > 2000)
    }

    @Test("30 minutes both ways are as many samples as went in, and nothing is kept")
    func long() throws {
        var dialect = dialect()
        let before = held(by: dialect)
        var (sent, played) = (0, 0)
        for number in 0..<90_000 {
            if case .binary(let bytes)? = dialect.heard(frame(number, rate: 16_000)) { sent += bytes.count / 2 }
            // Pieces of a size that fits no frame.
            let actions = try dialect.received(.binary([UInt8](repeating: 1, count: 959 + number % 3)))
            if case .play(let samples, _)? = actions.first { played += samples.count }
        }
        #expect(sent == 90_000 * 320)
        #expect(played == 90_000 * 480)
        #expect(held(by: dialect) == before)
    }
}
