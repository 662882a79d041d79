import PatchbayPlugin

/// Hears the caller out, and says it backwards. A caller who speaks up silences it; one who has nothing to say is left.
struct Backwards: PipelinePlugin {
    static let type = "backwards"
    static let summary = "Says backwards what the caller said."

    struct Settings: PluginSettings {
        @Field("How long the caller is quiet before the answer starts") var pause: Duration = .milliseconds(600)
        @Field("What the caller says beyond this is not answered") var longest: Duration = .seconds(20)
        @Field("How long both are quiet before the call ends") var patience: Duration = .seconds(30)
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        var heard = PCMFrame([], sampleRate: self.audio.inputRate)
        var quiet = Duration.zero
        for await frame in audio.input {  // 20 ms of the caller, in real time
            quiet = frame.silent && !audio.output.isPlaying ? quiet + frame.duration : .zero
            if !frame.silent { audio.output.clear() }
            let isAnswered = heard.duration < settings.longest
            if !frame.silent || !heard.samples.isEmpty, isAnswered { heard.samples += frame.samples }
            if quiet >= settings.pause, !heard.samples.isEmpty {
                heard.samples.reverse()
                try await audio.output.play(heard)
                heard.samples = []
            }
            if quiet >= settings.patience { return }  // returning hangs up
        }
    }
}
