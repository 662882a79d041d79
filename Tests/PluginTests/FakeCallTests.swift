import Logging
import PatchbayPlugin
import PatchbayTesting
import TestSupport
import Testing

@Suite("The fake call")
struct FakeCallTests {
    @Test("marks are played when their sound is over, and the caller's clock has moved there")
    func mark() async throws {
        let pipeline = try Script.configured { _, audio in
            try await audio.output.play(PCMFrame([Int16](repeating: 1, count: 16_000), sampleRate: 16_000))
            #expect(audio.output.isPlaying)
            #expect(await audio.output.mark().outcome == .played)
            #expect(!audio.output.isPlaying)
            var input = audio.input.makeAsyncIterator()
            #expect(await input.next()?.timestamp == .seconds(1))
        }
        #expect(try await pipeline.answer(PCMFrame.silence(20)).duration == .seconds(1))
    }

    @Test("clearing cuts the sound where the caller is, says how much was heard, and settles marks")
    func clear() async throws {
        let pipeline = try Script.configured { _, audio in
            var input = audio.input.makeAsyncIterator()
            try await audio.output.play(PCMFrame([Int16](repeating: 1, count: 16_000), sampleRate: 16_000))
            let mark = audio.output.mark()
            try await Task.sleep(for: .milliseconds(20))
            for _ in 0..<3 { _ = await input.next() }
            #expect(audio.output.clear() == .milliseconds(60))
            #expect(audio.output.clear() == .zero)
            #expect(await mark.outcome == .cleared)
        }
        #expect(try await pipeline.answer(PCMFrame.tone(100)).duration == .milliseconds(60))
    }

    @Test("hanging up ends the input, and playing then throws")
    func hangUp() async throws {
        let call = FakeCall(contextVariables: ["name": "Ada"])
        let pipeline = try Script.configured { call, audio in
            #expect(call.contextVariables["name"] == "Ada")
            call.report(.botText(SpokenText("hello")))
            call.send(["type": "greeting"])
            call.hangUp(reason: "done")
            var input = audio.input.makeAsyncIterator()
            #expect(await input.next() == nil)
            try await audio.output.play(PCMFrame([1], sampleRate: 16_000))
            Issue.record("played after the end")
        }
        #expect(try await call.run(pipeline, saying: PCMFrame.tone(100)).isEmpty)
        #expect(call.hangUpReason == "done")
        #expect(call.events == [.botText(SpokenText("hello"))])
        #expect(call.messages == [["type": "greeting"]])
    }

    @Test("the call is the one that was made, with its log, its keys and its client's messages, until it is over")
    func caller() async throws {
        let fake = FakeCall(
            tenant: "acme", principal: Principal(id: "7"), workflowID: 33, workflowRunID: 501, keys: "1#",
            clientMessages: [["page": "checkout"]], logger: .watched)
        let pipeline = try Script.configured { call, audio in
            #expect(call.tenant == "acme" && call.principal.id == "7")
            #expect(call.workflowID == 33 && call.workflowRunID == 501)
            #expect(call.logger.label == Logger.watched.label)
            var keys = call.dtmf.makeAsyncIterator()
            #expect(await keys.next() == "1")
            var heard = 0
            for await _ in audio.input { heard += 1 }
            #expect(heard == 5)
            #expect(await keys.next() == "#", "it waits for its reader")
            #expect(await keys.next() == nil)
            #expect(await call.messages.reduce(into: []) { $0.append($1) } == [["page": "checkout"]])
        }
        try await fake.run(pipeline, saying: PCMFrame.tone(100))
    }

    @Test("who follows the events sees what the pipeline reports from then on, until the call is over")
    func events() async throws {
        let pipeline = try Script.configured { call, audio in
            call.report(.ready)
            let (first, second) = (call.events(), call.events())
            call.report(.botText(SpokenText("hello")))
            call.report(.interrupted)
            call.hangUp(reason: "done")
            for events in [first, second] {
                #expect(
                    await events.reduce(into: []) { $0.append($1) } == [.botText(SpokenText("hello")), .interrupted])
            }
            #expect(await call.events().first { _ in true } == nil)
        }
        let call = FakeCall()
        try await call.run(pipeline, saying: PCMFrame.tone(100))
        #expect(call.events == [.ready, .botText(SpokenText("hello")), .interrupted])
    }

    @Test("a caller at another rate than the pipeline's is refused, and so is sound at a rate that there is not")
    func rates() async throws {
        let pipeline = try Script.configured { _, audio in
            try await audio.output.play(PCMFrame([1], sampleRate: 8_000))
            try await audio.output.play(PCMFrame([1], sampleRate: 44_100))
        }
        await #expect(throws: SettingsFault.self) { try await pipeline.answer(PCMFrame.tone(20, sampleRate: 48_000)) }
        await #expect(throws: WrongSampleRate.self) { try await pipeline.answer(PCMFrame.tone(20)) }
    }

    @Test("a pipeline may play ahead as far as its playoutLimit says, and waits then", arguments: [5, 60])
    func limit(seconds: Int) async throws {
        let pipeline = try Script.configured(playoutLimit: .seconds(seconds)) { _, audio in
            for _ in 0..<40 {
                try await audio.output.play(PCMFrame([Int16](repeating: 1, count: 16_000), sampleRate: 16_000))
            }
            var input = audio.input.makeAsyncIterator()
            #expect(await input.next()?.timestamp == max(.zero, .seconds(40 - seconds)))
        }
        _ = try await pipeline.answer(PCMFrame.silence(20))
    }

    @Test("clearing says how much was heard since a place in what was played")
    func positions() async throws {
        let pipeline = try Script.configured { _, audio in
            var input = audio.input.makeAsyncIterator()
            try await audio.output.play(PCMFrame([Int16](repeating: 1, count: 1600), sampleRate: 16_000))
            let second = audio.output.position
            #expect(second == .milliseconds(100))
            try await audio.output.play(PCMFrame([Int16](repeating: 1, count: 16_000), sampleRate: 16_000))
            for _ in 0..<8 { _ = await input.next() }
            #expect(audio.output.clear(since: second) == .milliseconds(60))
            #expect(audio.output.position == .milliseconds(1100))
            #expect(audio.output.clear(since: second) == .seconds(1), "what was dropped is over too")
        }
        #expect(try await pipeline.answer(PCMFrame.tone(400)).duration == .milliseconds(160))
    }
}

/// A pipeline that does what its test says.
private struct Script: PipelinePlugin {
    static let type = "script"
    static let summary = "Does what its test says."

    struct Settings: PluginSettings {}

    typealias Body = @Sendable (Call, CallAudio) async throws -> Void
    private var body: Body = { _, _ in }
    private(set) var playoutLimit = Duration.seconds(30)

    init(settings: Settings, context: PluginContext) {}

    static func configured(playoutLimit: Duration = .seconds(30), _ body: @escaping Body) throws -> Script {
        var script = try configured()
        script.body = body
        script.playoutLimit = playoutLimit
        return script
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        try await body(call, audio)
    }
}
