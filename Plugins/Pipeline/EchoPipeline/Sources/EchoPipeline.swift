public import PatchbayPlugin

/// Sends callers their own voice back at once: a test of the whole way there and back.
public struct EchoPipeline: PipelinePlugin {
    public static let type = "echo"
    public static let summary = "Sends callers their own voice back at once."

    /// The full band both ways, so that nothing is resampled.
    public let audio = AudioFormat(inputRate: 48_000, outputRate: 48_000)

    /// An echo has nothing to set.
    public struct Settings: PluginSettings {
        /// Makes the settings.
        public init() {}
    }

    /// Makes an echo.
    public init(settings: Settings, context: PluginContext) {}

    public func run(_ call: Call, audio: CallAudio) async throws {
        for await frame in audio.input {
            try await audio.output.play(frame)
        }
    }
}
