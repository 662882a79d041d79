public import PatchbayPlugin

/// Says back what the caller said, once the caller has paused. A caller who speaks up meanwhile silences it.
public struct ParrotPipeline: PipelinePlugin {
    public static let type = "parrot"
    public static let summary = "Repeats the caller after a pause."

    /// When the parrot speaks, and for how long.
    public struct Settings: PluginSettings {
        @Field("How long the caller is quiet before the answer starts", in: .milliseconds(20) ... .seconds(60))
        public var pause: Duration = .milliseconds(600)

        @Field(
            "The longest answer; what the caller says beyond it is not repeated",
            in: .milliseconds(100) ... .seconds(30))
        public var longest: Duration = .seconds(10)

        /// Makes the default settings.
        public init() {}
    }

    private let settings: Settings

    /// Makes a parrot.
    public init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    public func run(_ call: Call, audio: CallAudio) async throws {
        var phrase = Phrase(longest: settings.longest)
        for await frame in audio.input {
            phrase.hear(frame)
            if phrase.isSpeech, !frame.silent, audio.output.isPlaying {
                audio.output.clear()
                call.report(.interrupted)
            }
            if phrase.quiet >= settings.pause {
                if phrase.isSpeech {
                    for frame in phrase.spoken { try await audio.output.play(frame) }
                }
                phrase = Phrase(longest: settings.longest)
            }
        }
    }
}
