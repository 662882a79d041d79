import PatchbayPlugin

/// An echo beside a computation that never rests: what a call's neighbours must not notice.
struct Burn: PipelinePlugin {
    static let type = "burn"
    static let summary = "Sends callers their own voice back, and keeps a core busy meanwhile."

    struct Settings: PluginSettings {
        @Field("How long it computes before it lets others have the thread") var stretch: Duration = .milliseconds(10)
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        let burning = Task { await burn() }
        defer { burning.cancel() }
        for await frame in audio.input {
            try await audio.output.play(frame)
        }
    }

    private func burn() async {
        var state: UInt64 = 1
        while !Task.isCancelled {
            let end = ContinuousClock.now + settings.stretch
            while ContinuousClock.now < end {
                for _ in 0..<1000 { state = state &* 6_364_136_223_846_793_005 &+ 1 }
            }
            await Task.yield()
        }
        // Used, so that the computation is not left out.
        if state == 0 { print(state) }
    }
}
