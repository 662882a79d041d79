public import PatchbayPlugin

/// Plays a sound file to the caller, then listens until the caller hangs up.
public struct PlayerPipeline: PipelinePlugin {
    public static let type = "player"
    public static let summary = "Plays a WAV file, then listens until the caller hangs up."

    /// The full band out; what comes in is not used.
    public static let audio = AudioFormat(inputRate: 48_000, outputRate: 48_000)

    /// What is played.
    public struct Settings: PluginSettings {
        @Field("A WAV file: 16-bit PCM, mono or stereo, at 8000, 16000, 24000 or 48000 Hz, at most 64 MiB")
        public var path: FileReference

        /// Makes the settings.
        public init() {}
    }

    private let sound: Upsampler

    /// Reads the file.
    ///
    /// - Throws: a ``SettingsFault`` that names the file and says why it cannot be played.
    public init(settings: Settings, context: PluginContext) throws {
        do {
            let wave = try WaveFile(parsing: try readFile(settings.path.path, limit: 64 << 20))
            sound = Upsampler(wave.samples, factor: Self.audio.outputRate / wave.sampleRate)
        } catch {
            throw SettingsFault("cannot play \(settings.path.path): \(error)", field: "path")
        }
    }

    public func run(_ call: Call, audio: CallAudio) async throws {
        let frameLength = Self.audio.outputRate / 50
        for start in stride(from: 0, to: sound.count, by: frameLength) {
            let samples = sound.samples(start..<min(start + frameLength, sound.count))
            try await audio.output.play(PCMFrame(samples, sampleRate: Self.audio.outputRate))
        }
        for await _ in audio.input {}
    }
}
