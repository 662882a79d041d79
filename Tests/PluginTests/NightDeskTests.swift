import PatchbayPlugin
import PatchbayTesting
import Testing

/// What docs/plugins.md shows of testing a pipeline step by step.
@Suite("A pipeline's test")
struct NightDeskTests {
    @Test("after hours the desk says so, until the caller speaks up; the key goes to the page")
    func afterHours() async throws {
        let clock = TestClock(.seconds(9 * 3600))  // 1970-01-01, 09:00 UTC
        let desk = try NightDesk.configured("{ closes: 18 }", clock: clock)
        clock.advance(by: .seconds(10 * 3600))
        let call = FakeCall(workflowID: 33, contextVariables: ["name": "Ada"], keys: "5")
        let heard = try await call.run(desk, saying: PCMFrame.silence(400) + PCMFrame.tone(200))
        #expect(heard.duration == .milliseconds(420))  // of 2 s: the first 20 ms of speech silence it
        #expect(call.events == [.botText(SpokenText("We are closed, Ada")), .interrupted])
        #expect(call.messages == [["type": "key", "key": "5"]])
    }

    @Test("by day it says nothing")
    func byDay() async throws {
        let call = FakeCall()
        let desk = try NightDesk.configured("{ closes: 18 }", clock: TestClock(.seconds(9 * 3600)))
        #expect(try await call.run(desk, saying: PCMFrame.tone(200)).isEmpty)
        #expect(call.events.isEmpty && call.messages.isEmpty)
    }
}

/// Says at night that nobody is there.
private struct NightDesk: PipelinePlugin {
    static let type = "night_desk"
    static let summary = "Says at night that nobody is there."
    struct Settings: PluginSettings {
        @Field("The hour, in UTC, from which nobody is there", in: 0...24) var closes: Int = 18
    }

    let settings: Settings
    let context: PluginContext

    init(settings: Settings, context: PluginContext) {
        (self.settings, self.context) = (settings, context)
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        if context.wallClock().components.seconds % 86_400 / 3600 >= settings.closes {
            call.report(.botText(SpokenText("We are closed, \(call.contextVariables["name"]?.string ?? "friend")")))
            for frame in PCMFrame.tone(2000) { try await audio.output.play(frame) }
        }
        for await frame in audio.input where !frame.silent && audio.output.isPlaying {
            audio.output.clear()
            call.report(.interrupted)
        }
        for await key in call.dtmf { call.send(["type": "key", "key": .string(String(key))]) }
    }
}
