/// Who answers: the caller's voice in, a voice out.
public protocol PipelinePlugin: Plugin {
    /// The rates the pipeline wants; the gateway resamples to them. The same for all calls of an instance.
    var audio: AudioFormat { get }

    /// How much may be queued for the caller before `play` waits, in whole seconds.
    var playoutLimit: Duration { get }

    /// Serves one call. Returning hangs up; the task is cancelled when the caller leaves.
    ///
    /// - Throws: anything; the call then ends with `pipeline_failed`, and the error goes to the log.
    func run(_ call: Call, audio: CallAudio) async throws
}

extension PipelinePlugin {
    /// 16 kHz both ways.
    public var audio: AudioFormat { AudioFormat() }

    /// Half a minute.
    public var playoutLimit: Duration { .seconds(30) }
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

/// The caller's voice, 20 ms a frame, in order, in real time: silence while the caller sends nothing. Ends with the
/// call.
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

/// What became of a ``PlaybackMark``.
public enum MarkOutcome: Sendable, Hashable {
    /// Everything before the mark was sent to the caller.
    case played
    /// `clear()` dropped it, or the call ended.
    case cleared
}

/// A place in what is played: behind everything that was queued when it was made.
public struct PlaybackMark: Sendable {
    private let wait: @Sendable () async -> MarkOutcome

    /// Makes a mark, which the host and tests do.
    public init(_ wait: @escaping @Sendable () async -> MarkOutcome) {
        self.wait = wait
    }

    /// Waits until everything before it has been sent, or was dropped.
    public var outcome: MarkOutcome { get async { await wait() } }
}

/// Plays sound to the caller from a queue, in real time, however fast it is filled.
public protocol AudioOutput: Sendable {
    /// Queues a frame of any length, at 8000, 16000, 24000 or 48000 samples a second;
    /// `PipelinePlugin.audio.outputRate` saves a resampling. Waits while the queue is full.
    ///
    /// - Throws: ``WrongSampleRate``; `CancellationError` once the call is over.
    func play(_ frame: PCMFrame) async throws

    /// Drops what is queued, for a caller who interrupts.
    ///
    /// - Returns: how much was heard of what was played since the queue was last empty.
    @discardableResult
    func clear() -> Duration

    /// The same for who counts from another place.
    ///
    /// - Parameter start: a ``position`` of before.
    /// - Returns: how much was heard, or dropped earlier, of what was played since then.
    @discardableResult
    func clear(since start: Duration) -> Duration

    /// How much was ever queued: where what is played next begins.
    var position: Duration { get }

    /// A mark behind everything queued so far.
    func mark() -> PlaybackMark

    /// Whether there is something left to play.
    var isPlaying: Bool { get }
}
