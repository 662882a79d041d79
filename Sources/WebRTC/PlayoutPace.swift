import Audio
import Wire

/// Takes frames from a playout queue for a pipeline of any pace: one far ahead of real time, or one that delivers a frame
/// every 20 ms, with jitter of its own.
///
/// A live pipeline that stalls leaves its frames queued, which would be delay for the rest of the call: of what was never
/// needed for two seconds, pauses are shortened until it is gone, and where there are none frames follow one another a little
/// faster. And silence is not waited for when a little of it is all there is before a talkspurt.
struct PlayoutPace {
    private static let frameTime = Duration.milliseconds(20)
    /// Two seconds.
    private static let window = 100
    /// So few frames have a live pipeline's sound among them, and not the next sentence of one that is ahead.
    private static let few = 5
    /// Frames that a stall can leave, no more than a pipeline's input holds. Who has more queued is ahead on purpose.
    private static let longestStall = 50

    /// Samples in 20 ms.
    private let frame: Int
    private var noiseFloor = NoiseFloor()
    private var pulls = 0
    private var leastQueued = Int.max
    /// Frames that a talkspurt keeps queued from its start on: what a pipeline is ahead by on purpose.
    private var usual: Int?
    /// When there was something to pull.
    private var lastPull: MonotonicTime?
    private var enqueuedBefore = 0
    private var surplus = 0
    /// How much of the next surplus frame's time was gained by haste.
    private var gained = Duration.zero

    init(frame: Int) {
        self.frame = frame
    }

    /// Moves the next frame to `samples`; of no use where there is no sound.
    mutating func pull(
        from queue: PlayoutQueue, into samples: inout MutableSpan<Int16>, isTalking: Bool, now: MonotonicTime
    ) -> PlayoutQueue.Pulled {
        var pulled = queue.pull(into: &samples, count: frame)
        while mayPassOver(pulled, samples.span, of: queue, isTalking: isTalking) {
            pulled = queue.pull(into: &samples, count: frame)
        }
        learn(from: queue, isEmpty: pulled == .nothing, now: now)
        return pulled
    }

    /// Whether a frame of a pause need not take its time, with another behind it.
    private mutating func mayPassOver(
        _ pulled: PlayoutQueue.Pulled, _ samples: Span<Int16>, of queue: PlayoutQueue, isTalking: Bool
    ) -> Bool {
        let isPause = pulled == .silence || pulled == .sound && noiseFloor.isSilent(samples)
        guard isPause, queue.isPlaying else { return false }
        if surplus > 0 {
            surplus -= 1
            return true
        }
        guard pulled == .silence, !isTalking else { return false }
        return queue.isSpeaking && queue.queuedSamples <= Self.few * frame
    }

    /// Whether the next frame is to be sent by `step` sooner, so that what waits becomes less.
    mutating func gain(_ step: Duration) -> Bool {
        guard surplus > 0 else { return false }
        gained += step
        if gained >= Self.frameTime {
            gained -= Self.frameTime
            surplus -= 1
        }
        return true
    }

    private mutating func learn(from queue: PlayoutQueue, isEmpty: Bool, now: MonotonicTime) {
        if isEmpty {
            (pulls, leastQueued, surplus, usual) = (0, .max, 0, 0)
            enqueuedBefore = queue.enqueuedSamples
            return
        }
        // After a second a pipeline has not stalled: it begins anew, as far ahead as it likes.
        if lastPull.map({ now - $0 > Self.frameTime * Self.longestStall }) ?? true { usual = nil }
        lastPull = now
        leastQueued = min(leastQueued, queue.queuedSamples)
        pulls &+= 1
        guard pulls == Self.window else { return }
        let enqueued = queue.enqueuedSamples
        let isInRealTime = abs(enqueued - enqueuedBefore - Self.window * frame) <= Self.window / 10 * frame
        let queued = leastQueued / frame
        surplus = isInRealTime && queued <= Self.longestStall ? max(0, queued - (usual ?? queued)) : 0
        usual = usual ?? queued
        (pulls, leastQueued, enqueuedBefore) = (0, .max, enqueued)
    }
}
