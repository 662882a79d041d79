internal import Logging
public import PatchbayPlugin
internal import Synchronization

/// A call without a network: it speaks prepared sound to a pipeline, and keeps what the pipeline plays, sends and
/// decides.
///
/// Time is virtual. It passes as the pipeline reads the caller's frames, 20 ms with each; where the pipeline waits for
/// its own sound instead, it passes until that is played. When the caller has said everything, the call ends.
public final class FakeCall: Sendable {
    private struct State {
        var playback = Playback()
        var waiting: [PCMFrame] = []
        var events: [CallEvent] = []
        var messages: [JSONValue] = []
        var hangUpReason: String?
    }

    private let principal: Principal
    private let contextVariables: [String: JSONValue]
    private let state = Mutex(State())

    /// Makes a call that has not begun.
    public init(principal: Principal = Principal(id: "caller"), contextVariables: [String: JSONValue] = [:]) {
        self.principal = principal
        self.contextVariables = contextVariables
    }

    /// What the pipeline reported, in order.
    public var events: [CallEvent] { state.withLock { $0.events } }

    /// The pipeline's own messages to the client, in order.
    public var messages: [JSONValue] { state.withLock { $0.messages } }

    /// What the pipeline hung up with; nil when it did not.
    public var hangUpReason: String? { state.withLock { $0.hangUpReason } }

    /// Runs one call of `pipeline`, in which the caller says `frames`.
    ///
    /// - Returns: what the caller heard; each timestamp says when.
    /// - Throws: what the pipeline throws, and ``WrongSampleRate``.
    @discardableResult
    public func run(_ pipeline: some PipelinePlugin, saying frames: [PCMFrame]) async throws -> [PCMFrame] {
        let rates = pipeline.audio
        if let odd = frames.first(where: { $0.sampleRate != rates.inputRate }) {
            throw SettingsFault(
                "the caller speaks at \(odd.sampleRate) Hz, and the pipeline hears at \(rates.inputRate)")
        }
        state.withLock { state in
            state.waiting = frames.reversed()
            state.playback.limit = pipeline.playoutLimit
        }
        let call = Call(
            id: "test", tenant: "default", principal: principal, workflowID: 1, workflowRunID: 1,
            contextVariables: contextVariables,
            logger: Logger(label: "patchbay.test", factory: { _ in SwiftLogNoOpLogHandler() }),
            host: Call.Host(
                report: { event in self.state.withLock { $0.events.append(event) } },
                events: { AsyncStream { $0.finish() } },
                send: { message in self.state.withLock { $0.messages.append(message) } },
                hangUp: { reason in
                    self.state.withLock { state in
                        if state.hangUpReason == nil { state.hangUpReason = reason }
                        state.waiting = []
                    }
                }))
        let audio = CallAudio(
            input: AudioInput { self.nextFrame() }, output: Output(call: self, rate: rates.outputRate))
        do {
            try await pipeline.run(call, audio: audio)
        } catch is CancellationError where hangUpReason != nil {
            // As in a real call: who hangs up cannot play any more.
        }
        return state.withLock { $0.playback.frames }
    }

    private func nextFrame() -> PCMFrame? {
        state.withLock { state in
            guard var frame = state.waiting.popLast() else { return nil }
            frame.timestamp = state.playback.now
            state.playback.advance(to: state.playback.now + frame.duration)
            return frame
        }
    }

    private struct Output: AudioOutput {
        let call: FakeCall
        let rate: Int

        func play(_ frame: PCMFrame) async throws {
            guard [8000, 16_000, 24_000, 48_000].contains(frame.sampleRate) else {
                throw WrongSampleRate(found: frame.sampleRate)
            }
            try call.state.withLock { state in
                if state.hangUpReason != nil { throw CancellationError() }
                state.playback.play(frame)
            }
        }

        func clear() -> Duration {
            call.state.withLock { $0.playback.clear() }
        }

        func clear(since start: Duration) -> Duration {
            call.state.withLock { state in
                let position = state.playback.heard
                state.playback.clear()
                return max(.zero, position - start)
            }
        }

        var position: Duration { call.state.withLock { $0.playback.queued } }

        var isPlaying: Bool { call.state.withLock { $0.playback.isPlaying } }

        func mark() -> PlaybackMark {
            let (end, clears) = call.state.withLock { ($0.playback.end, $0.playback.clears) }
            return PlaybackMark { await outcome(end: end, clears: clears) }
        }

        private func outcome(end: Duration, clears: Int) async -> MarkOutcome {
            var still = 0
            while true {
                let before = call.state.withLock { $0.playback.now }
                let outcome: MarkOutcome? = call.state.withLock { state in
                    if state.playback.clears != clears || state.hangUpReason != nil { return .cleared }
                    return state.playback.now >= end ? .played : nil
                }
                if let outcome { return outcome }
                // Another task may be reading what the caller says, and time is then its affair.
                guard (try? await Task.sleep(for: .milliseconds(1))) != nil else { return .cleared }
                call.state.withLock { state in
                    still = state.playback.now == before ? still + 1 : 0
                    if still == 100 { state.playback.advance(to: end) }
                }
            }
        }
    }
}

extension PipelinePlugin {
    /// What the pipeline answers to a caller who says `frames` and hangs up.
    public func answer(_ frames: [PCMFrame]) async throws -> [PCMFrame] {
        try await FakeCall().run(self, saying: frames)
    }
}
