public import Logging
public import PatchbayPlugin
internal import Synchronization

/// A call without a network: it speaks prepared sound to a pipeline, and keeps what the pipeline plays, sends and
/// decides.
///
/// Time is virtual. It passes as the pipeline reads the caller's frames, 20 ms with each; where the pipeline waits for
/// its own sound instead, it passes until that is played. When the caller has said everything, the call ends.
///
/// `call.events()` has what the pipeline reports, and nothing of what a gateway would tell by itself. It ends with the
/// call, and so do `call.dtmf` and `call.messages`.
public final class FakeCall: Sendable {
    private struct State {
        var playback = Playback()
        var waiting: [PCMFrame] = []
        var events: [CallEvent] = []
        var messages: [JSONValue] = []
        var hangUpReason: String?
        var isOver = false
        /// Finish the streams that end with the call.
        var atEnd: [@Sendable () -> Void] = []
        var followers: [AsyncStream<CallEvent>.Continuation] = []
    }

    private let tenant: String
    private let principal: Principal
    private let workflowID: Int
    private let workflowRunID: Int
    private let contextVariables: [String: JSONValue]
    private let keys: String
    private let clientMessages: [JSONValue]
    private let logger: Logger
    private let state = Mutex(State())

    /// Makes a call that has not begun.
    ///
    /// - Parameters:
    ///   - keys: what the caller presses, all of it when the call begins: `call.dtmf`.
    ///   - clientMessages: what the caller's client says then: `call.messages`.
    ///   - logger: `call.logger`; unless it is given, nothing is written.
    public init(
        tenant: String = "default", principal: Principal = Principal(id: "caller"), workflowID: Int = 1,
        workflowRunID: Int = 1, contextVariables: [String: JSONValue] = [:], keys: String = "",
        clientMessages: [JSONValue] = [],
        logger: Logger = Logger(label: "patchbay.test", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
        self.tenant = tenant
        self.principal = principal
        self.workflowID = workflowID
        self.workflowRunID = workflowRunID
        self.contextVariables = contextVariables
        self.keys = keys
        self.clientMessages = clientMessages
        self.logger = logger
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
    /// - Throws: what the pipeline throws; a ``SettingsFault`` when the caller speaks at another rate than that at
    ///   which the pipeline hears.
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
            id: "test", tenant: tenant, principal: principal, workflowID: workflowID, workflowRunID: workflowRunID,
            contextVariables: contextVariables, logger: logger, dtmf: waiting(Array(keys)),
            messages: waiting(clientMessages),
            host: Call.Host(
                report: report, events: follow,
                send: { message in self.state.withLock { $0.messages.append(message) } },
                hangUp: { reason in
                    self.state.withLock { state in
                        if state.hangUpReason == nil { state.hangUpReason = reason }
                        state.waiting = []
                    }
                    self.end()
                }))
        let audio = CallAudio(
            input: AudioInput { self.nextFrame() }, output: Output(call: self, rate: rates.outputRate))
        defer { end() }
        do {
            try await pipeline.run(call, audio: audio)
        } catch is CancellationError where hangUpReason != nil {
            // As in a real call: who hangs up cannot play any more.
        }
        return state.withLock { $0.playback.frames }
    }

    private func nextFrame() -> PCMFrame? {
        let frame: PCMFrame? = state.withLock { state in
            guard var frame = state.waiting.popLast() else { return nil }
            frame.timestamp = state.playback.now
            state.playback.advance(to: state.playback.now + frame.duration)
            return frame
        }
        if frame == nil { end() }
        return frame
    }

    private func report(_ event: CallEvent) {
        state.withLock { state in
            state.events.append(event)
            for follower in state.followers { follower.yield(event) }
        }
    }

    private func follow() -> AsyncStream<CallEvent> {
        let (stream, continuation) = untilTheEnd(of: CallEvent.self, newest: 256)
        state.withLock { $0.followers.append(continuation) }
        return stream
    }

    private func waiting<Element: Sendable>(_ elements: [Element]) -> AsyncStream<Element> {
        let (stream, continuation) = untilTheEnd(of: Element.self, newest: 64)
        for element in elements { continuation.yield(element) }
        return stream
    }

    /// - Parameter limit: how many wait for a reader, as in a real call.
    private func untilTheEnd<Element: Sendable>(
        of type: Element.Type, newest limit: Int
    ) -> (AsyncStream<Element>, AsyncStream<Element>.Continuation) {
        let (stream, continuation) = AsyncStream.makeStream(of: type, bufferingPolicy: .bufferingNewest(limit))
        state.withLock { state in
            if state.isOver { continuation.finish() } else { state.atEnd.append { continuation.finish() } }
        }
        return (stream, continuation)
    }

    private func end() {
        let streams = state.withLock { state in
            state.isOver = true
            defer { state.atEnd = [] }
            return state.atEnd
        }
        for finish in streams { finish() }
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
