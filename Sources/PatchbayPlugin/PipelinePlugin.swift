/// Who answers: the caller's voice in, a voice out.
public protocol PipelinePlugin: Plugin {
    /// The rates the pipeline wants; the gateway resamples to them.
    static var audio: AudioFormat { get }

    /// Serves one call. Returning hangs up; the task is cancelled when the caller leaves.
    ///
    /// - Throws: anything; the call then ends with `pipeline_failed`, and the error goes to the log.
    func run(_ call: Call, audio: CallAudio) async throws
}

extension PipelinePlugin {
    /// 16 kHz both ways.
    public static var audio: AudioFormat { AudioFormat() }
}

/// The two directions of a call's sound.
public struct CallAudio: Sendable {
    /// What the caller says.
    public var input: AudioInput
    /// What the caller hears.
    public var output: any AudioOutput

    /// Makes the pair, which the host and tests do.
    public init(input: AudioInput, output: any AudioOutput) {
        self.input = input
        self.output = output
    }
}

/// The caller's voice, 20 ms a frame, in order, in real time: silence while the caller sends nothing. Ends with the call.
///
/// For one reader. A reader that falls a second behind loses the oldest frames.
public struct AudioInput: AsyncSequence, Sendable {
    /// Frames at the rate of `PipelinePlugin.audio.inputRate`.
    public typealias Element = PCMFrame
    private let read: @Sendable () async -> PCMFrame?

    /// Makes an input from a function that waits for the next frame, nil at the end.
    public init(_ read: @escaping @Sendable () async -> PCMFrame?) {
        self.read = read
    }

    /// Reads frames.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let read: @Sendable () async -> PCMFrame?

        /// The next frame, nil at the call's end.
        public mutating func next() async -> PCMFrame? {
            await read()
        }
    }

    /// Starts reading.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(read: read)
    }
}

/// What became of a ``AudioOutput/mark()``.
public enum MarkOutcome: Sendable, Hashable {
    /// Everything before the mark was sent to the caller.
    case played
    /// `clear()` dropped it, or the call ended.
    case cleared
}

/// Plays sound to the caller from a queue of 30 s, in real time, however fast it is filled.
public protocol AudioOutput: Sendable {
    /// Queues a frame of any length, at the rate of `PipelinePlugin.audio.outputRate`. Waits while the queue is full.
    ///
    /// - Throws: `CancellationError` once the call is over.
    func play(_ frame: PCMFrame) async throws

    /// Drops what is queued, for a caller who interrupts.
    ///
    /// - Returns: how much was heard of what was played since the queue was last empty.
    @discardableResult
    func clear() -> Duration

    /// Waits until everything queued so far has been sent, or was dropped.
    func mark() async -> MarkOutcome

    /// Whether there is something left to play.
    var isPlaying: Bool { get }
}
