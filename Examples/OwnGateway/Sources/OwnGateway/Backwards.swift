import PatchbayPlugin

/// Hears the caller out, and says it backwards. A caller who speaks up silences it; one who has nothing to say is left.
struct Backwards: PipelinePlugin {
    static let type = "backwards"
    static let summary = "Says backwards what the caller said."

    struct Settings: PluginSettings {
        @Field("How long the caller is quiet before the answer starts") var pause: Duration = .milliseconds(600)
        @Field("How long both are quiet before the call ends") var patience: Duration = .seconds(30)
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        var heard: [Int16] = []
        var quiet = Duration.zero
        for await frame in audio.input {  // 20 ms of the caller, in real time
            quiet = frame.silent && !audio.output.isPlaying ? quiet + frame.duration : .zero
            if !frame.silent { audio.output.clear() }
            if !frame.silent || !heard.isEmpty { heard += frame.samples }
            if quiet >= settings.pause, !heard.isEmpty {
                try await audio.output.play(PCMFrame(heard.reversed(), sampleRate: frame.sampleRate))
                heard = []
            }
            if quiet >= settings.patience { return }  // returning hangs up
        }
    }
}
