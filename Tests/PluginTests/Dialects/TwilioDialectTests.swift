import PatchbayPlugin
import Testing

@testable import WebSocketPipeline

@Suite("Twilio Media Streams")
struct TwilioDialectTests {
    private func dialect(_ encoding: WebSocketPipeline.TwilioEncoding = .muLaw8k) -> TwilioDialect {
        TwilioDialect(.test, format: encoding.format, accountID: "AC1")
    }

    private let stream = "MZ0a1b2c3d4e5f6789abcdef0123456789"

    @Test("the first two messages are connected and start, with the call's variables as text")
    func opening() throws {
        var dialect = dialect()
        let actions = dialect.opened()
        #expect(actions.last == .report(.ready))
        #expect(
            actions.sent == [
                ["event": "connected", "protocol": "Call", "version": "1.0.0"],
                [
                    "event": "start", "sequenceNumber": "1", "streamSid": .string(stream),
                    "start": [
                        "streamSid": .string(stream), "accountSid": "AC1",
                        "callSid": "CA0a1b2c3d4e5f6789abcdef0123456789", "tracks": ["inbound"],
                        "customParameters": [
                            "tenant": "acme", "user_id": "7", "workflow_id": "33", "workflow_run_id": "501",
                            "name": "Ada", "age": "36",
                        ],
                        "mediaFormat": ["encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1],
                    ],
                ],
            ])
    }

    @Test("the caller's voice is counted in chunks, and in milliseconds since the first")
    func media() throws {
        var dialect = dialect()
        _ = dialect.opened()
        for number in 3..<6 {
            let message = try #require(dialect.heard(frame(number, rate: 8000, value: 1000))?.json)
            let media = try #require(message["media"])
            #expect(message["event"] == "media" && message["streamSid"] == .string(stream))
            #expect(message["sequenceNumber"] == .string("\(number - 1)"))
            #expect(media["track"] == "inbound")
            #expect(media["chunk"] == .string("\(number - 2)"))
            #expect(media["timestamp"] == .string("\(20 * (number - 3))"))
            // 1000 in mu-law is 0xCE: exponent 3, mantissa 1.
            #expect(media["payload"] == .string(base64([UInt8](repeating: 0xce, count: 160))))
        }
        #expect(dialect.pressed("#")?.json?["dtmf"] == ["track": "inbound_track", "digit": "#"])
        #expect(dialect.closing()?.json?["stop"]?["callSid"] == "CA0a1b2c3d4e5f6789abcdef0123456789")
        #expect(dialect.closing()?.json?["sequenceNumber"] == "7")
    }

    @Test("the option for wide band has linear samples", arguments: [16_000, 24_000])
    func linear(rate: Int) throws {
        var dialect = dialect(rate == 16_000 ? .linear16k : .linear24k)
        let format = try #require(dialect.opened().sent.last?["start"]?["mediaFormat"])
        #expect(format == ["encoding": "audio/x-l16", "sampleRate": .integer(rate), "channels": 1])
        let message = dialect.heard(PCMFrame([0x0102, -2], sampleRate: rate))
        #expect(message?.json?["media"]?["payload"] == .string(base64([0x02, 0x01, 0xfe, 0xff])))
        let payload = base64([0x02, 0x01, 0xfe, 0xff])
        #expect(
            try dialect.received(#"{"event":"media","media":{"payload":"\#(payload)"}}"#)
                == [.play([0x0102, -2], rate: rate)])
    }

    @Test("sound of any length is played, marks and clear are done, and the rest is passed over")
    func fromBot() throws {
        var dialect = dialect()
        let payload = base64([0xff, 0x7f, 0xce, 0x4e, 0x00, 0x80])
        #expect(
            try dialect.received(#"{"event":"media","streamSid":"\#(stream)","media":{"payload":"\#(payload)"}}"#)
                == [.play([0, 0, 988, -988, -32_124, 32_124], rate: 8000)])
        #expect(try dialect.received(#"{"event":"mark","mark":{"name":"my label"}}"#) == [.mark("my label")])
        #expect(try dialect.received(#"{"event":"clear","streamSid":"\#(stream)"}"#) == [.clear])
        #expect(
            try dialect.received(#"{"event":"clear","streamSid":"MZother"}"#)
                == [.passOver("a message to the streamSid 'MZother'")])
        #expect(try dialect.received(#"{"event":"connected","extra":[1]}"#) == [.passOver("the event 'connected'")])
        for outcome in [MarkOutcome.played, .cleared] {
            #expect(dialect.settled(mark: "a", outcome)?.json?["mark"] == ["name": "a"])
        }
    }

    @Test(
        "what no bot says is refused",
        arguments: [
            "", "[]", "{}", "hello", #"{"event":"media"}"#, #"{"event":"media","media":{"payload":"%%"}}"#,
            #"{"event":"mark"}"#, #"{"event":1}"#, #"{"event":"mark","mark":{"name":5}}"#,
        ])
    func garbage(text: String) {
        var dialect = dialect()
        #expect(throws: DialectFault.self) { try dialect.received(text) }
        #expect(throws: DialectFault.self) { try dialect.received(.binary([1, 2])) }
    }

    @Test("damaged messages are refused or understood, and nothing else")
    func damaged() {
        let dialect = dialect()
        let messages = [
            #"{"event":"media","streamSid":"\#(stream)","media":{"payload":"\#(base64([1, 2, 3, 4, 5, 6]))"}}"#,
            #"{"event":"mark","streamSid":"\#(stream)","mark":{"name":"my label"}}"#,
            #"{"event":"clear","streamSid":"\#(stream)"}"#,
        ].map { Array($0.utf8) }
        let refused = damage(messages, rounds: 3000) { bytes in
            _ = try dialect.received(.text(String(decoding: bytes, as: UTF8.self)))
        }
        #expect(refused > 3000)
    }

    @Test("30 minutes count up without a drift, and nothing is kept")
    func long() throws {
        var dialect = dialect()
        _ = dialect.opened()
        let before = held(by: dialect)
        var last: JSONValue?
        for number in 0..<90_000 {
            let message = dialect.heard(frame(number, rate: 8000))
            if number == 89_999 { last = message?.json }
        }
        #expect(held(by: dialect) == before)
        #expect(last?["media"]?["timestamp"] == "1799980")
        #expect(last?["media"]?["chunk"] == "90000")
        #expect(last?["sequenceNumber"] == "90001")
    }
}

@Suite("G.711 mu-law")
struct MuLawTests {
    @Test("every code decodes to what it encodes, but for the second zero")
    func roundTrip() {
        for code in UInt8.min...UInt8.max {
            let samples = SampleCoding.samples(muLaw: [code])
            #expect(SampleCoding.muLaw(samples) == [code == 0x7f ? 0xff : code])
        }
    }

    @Test("a sample comes back within half a step of its size")
    func error() {
        for sample in stride(from: Int(Int16.min), through: Int(Int16.max), by: 7) {
            let back = Int(SampleCoding.samples(muLaw: SampleCoding.muLaw([Int16(sample)]))[0])
            #expect(abs(back - sample) <= max(8, abs(sample) / 30 + 4), "\(sample) came back as \(back)")
        }
    }
}
