public import PatchbayPlugin

/// Plays a sound file to the caller, then listens until the caller hangs up.
public struct PlayerPipeline: PipelinePlugin {
    public static let type = "player"
    public static let summary = "Plays a WAV file, then listens until the caller hangs up."

    /// What is played.
    public struct Settings: PluginSettings {
        @Field("A WAV file: 16-bit PCM, mono or stereo, at 8000, 16000, 24000 or 48000 Hz, at most 64 MiB")
        public var path: FileReference

        /// Makes the settings.
        public init() {}
    }

    private let sound: WaveFile

    /// The file's rate out; what comes in is not used.
    public var audio: AudioFormat { AudioFormat(inputRate: 48_000, outputRate: sound.sampleRate) }

    /// Reads the file.
    ///
    /// - Throws: a ``SettingsFault`` that names the file and says why it cannot be played.
    public init(settings: Settings, context: PluginContext) throws {
        do throws(SettingsFault) {
            sound = try WaveFile(reading: settings.path.path)
        } catch {
            throw SettingsFault(error.description, field: "path")
        }
    }

    public func run(_ call: Call, audio: CallAudio) async throws {
        try await audio.output.play(PCMFrame(sound.samples, sampleRate: sound.sampleRate))
        for await _ in audio.input {}
    }
}
