internal import Logging
internal import PatchbayPlugin

/// A caller in real time who says nothing, as long as the pipeline's task is not cancelled.
struct SilentCaller: Sendable {
    /// Samples a second of what the caller says.
    let rate: Int
    let logger: Logger

    var call: Call {
        Call(
            id: "conformance", tenant: "default", principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1,
            logger: logger,
            host: Call.Host(
                report: { _ in }, events: { AsyncStream { $0.finish() } }, send: { _ in }, hangUp: { _ in }))
    }

    var audio: CallAudio {
        CallAudio(
            input: AudioInput {
                try? await Task.sleep(for: .milliseconds(20))
                if Task.isCancelled { return nil }
                return PCMFrame([Int16](repeating: 0, count: rate / 50), sampleRate: rate, silent: true)
            },
            output: Output())
    }

    /// Plays everything at once.
    private struct Output: AudioOutput {
        func play(_ frame: PCMFrame) async throws {
            if Task.isCancelled { throw CancellationError() }
        }

        func clear() -> Duration { .zero }
        func clear(since start: Duration) -> Duration { .zero }
        var position: Duration { .zero }
        func mark() -> PlaybackMark { PlaybackMark { .played } }
        var isPlaying: Bool { false }
    }
}
