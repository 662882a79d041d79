import PatchbayPlugin

/// Hears the caller out and answers. A caller who speaks up silences the answer.
struct MyPlugin: PipelinePlugin {
    static let type = "my_plugin"
    static let summary = "Says back what the caller said, after a pause."

    struct Settings: PluginSettings {
        @Field("How long the caller is quiet before the answer starts") var pause: Duration = .milliseconds(600)
        @Field("What the caller says beyond this is not answered") var longest: Duration = .seconds(20)
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        var said: [PCMFrame] = []
        var quiet = Duration.zero
        for await frame in audio.input {  // 20 ms of the caller, in real time
            quiet = frame.silent ? quiet + frame.duration : .zero
            if !frame.silent { audio.output.clear() }
            let isTooMuch = frame.duration * said.count >= settings.longest
            if !frame.silent || !said.isEmpty, !isTooMuch { said.append(frame) }
            if quiet >= settings.pause, !said.isEmpty {
                for frame in answer(to: said) { try await audio.output.play(frame) }
                said = []
            }
        }
    }

    /// What the caller hears then: the same again, without the pause at its end. Here is the place for a bot.
    func answer(to said: [PCMFrame]) -> [PCMFrame] {
        said.reversed().drop { $0.silent }.reversed()
    }
}
