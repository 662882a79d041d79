internal import PatchbayPlugin

/// What a pipeline plays, on a clock that moves as it reads what the caller says.
struct Playback: Sendable {
    /// As much as a real call queues: the pipeline's `playoutLimit`.
    var limit = Duration.seconds(30)

    /// Since the call's start.
    private(set) var now = Duration.zero
    /// What was played and not dropped; a timestamp is when the caller hears it.
    private(set) var frames: [PCMFrame] = []
    /// Counts the `clear()`s.
    private(set) var clears = 0
    /// When the queue was last empty.
    private var start = Duration.zero
    /// When all is played.
    private(set) var end = Duration.zero

    /// All that was ever played, and all of it that was heard or dropped.
    private(set) var queued = Duration.zero
    var heard: Duration { queued - max(.zero, end - now) }

    var isPlaying: Bool { end > now }

    mutating func play(_ frame: PCMFrame) {
        if !isPlaying { (start, end) = (now, now) }
        var frame = frame
        frame.timestamp = end
        frames.append(frame)
        end += frame.duration
        queued += frame.duration
        advance(to: end - limit)
    }

    /// Lets time pass; it does not go back.
    mutating func advance(to time: Duration) {
        now = max(now, time)
    }

    /// Drops what the caller has not heard yet.
    @discardableResult
    mutating func clear() -> Duration {
        clears += 1
        guard isPlaying else { return .zero }
        while let last = frames.last, last.timestamp >= now { frames.removeLast() }
        if var last = frames.popLast() {
            let heard = Int((now - last.timestamp) / .seconds(1) * Double(last.sampleRate) + 0.5)
            last.samples = Array(last.samples.prefix(heard))
            frames.append(last)
        }
        end = now
        return now - start
    }
}
