import Audio
import Wire

/// Cuts sound at 48 kHz into the 20 ms frames that a pipeline hears, at its rate, and keeps their clock.
///
/// Sound that comes late, after silence was made in its place, puts the frames ahead of real time: pauses are shortened
/// until that has worn off, so that no delay stays.
final class FrameAssembler {
    /// Where a sound has come from.
    enum Source {
        case received
        /// A copy that came with another packet.
        case recovered
        /// The codec made it up.
        case concealed
    }

    /// How late a sender may be in the middle of a sound before something is put in its place, and after a quiet frame.
    private static let patience = Duration.milliseconds(80)
    private static let longestPatience = Duration.milliseconds(240)
    private static let quietPatience = Duration.milliseconds(20)
    /// How far ahead of real time frames may be before pauses are shortened: as far as jitter alone brings them.
    private static let ease = Duration.milliseconds(120)
    /// And before sound is left out: as much as the queue holds.
    private static let longestLead = Duration.seconds(1)
    private static let frame = Duration.milliseconds(20)
    private static let samplesPerFrame = Opus.frameSize

    private var resampler: Resampler
    private let queue: PCMInputQueue
    /// When the sound that was delivered so far is through, by the clock of whoever listens.
    private var soundsUntil: MonotonicTime
    /// As long as this call's sound has been late before; wears off as packets come.
    private var patience = FrameAssembler.patience
    /// Samples that do not fill a frame yet.
    private var partial = [Int16](repeating: 0, count: samplesPerFrame)
    private var noiseFloor = NoiseFloor()
    private var filled = 0
    private var isFromPeer = false
    private var isConcealed = false
    private var isRecovered = false
    private var level: UInt8?
    private var resampled: [Int16]
    /// Samples delivered, at 48 kHz.
    private var mediaTime: UInt64 = 0
    /// Whether the last frame was silent.
    private(set) var isQuiet = true
    /// Whether it was nothing but zeros, and the resampler has none but these in mind.
    private var isSilenced = false
    private(set) var framesFromPeer = 0
    private(set) var framesRecovered = 0
    private(set) var framesConcealed = 0

    /// - Parameter rate: Hz of the frames; they have `rate / 50` samples.
    init(rate: Int, queue: PCMInputQueue, now: MonotonicTime) throws(AudioError) {
        resampler = try Resampler(from: Opus.rate, to: rate)
        self.queue = queue
        resampled = [Int16](repeating: 0, count: rate / 50)
        soundsUntil = now
    }

    /// When silence is to be made if no sound comes.
    var silenceDue: MonotonicTime {
        soundsUntil + (isQuiet ? Self.quietPatience : patience)
    }

    func isFarAhead(of now: MonotonicTime) -> Bool {
        soundsUntil > now + Self.longestLead
    }

    /// Sound came in whose place something was put, so much of it.
    func wasHasty(by lateness: Duration) {
        patience = min(max(patience, Self.patience + lateness + lateness / 4), Self.longestPatience)
    }

    /// What is appended next is heard from `now` on, and not in place of what should have been heard before.
    func goLive(_ now: MonotonicTime) {
        soundsUntil = max(soundsUntil, now)
        patience = patience - (patience - Self.patience) / 512
    }

    /// The first `count` of `samples`, with what RFC 6464 says of them.
    func append(_ samples: [Int16], count: Int, _ source: Source, level: UInt8? = nil, now: MonotonicTime) {
        var taken = 0
        while taken < count {
            if filled == 0 { self.level = level }
            let step = min(count &- taken, Self.samplesPerFrame &- filled)
            var frame = partial.mutableSpan
            let sound = samples.span
            for index in 0..<step {
                frame[filled &+ index] = sound[taken &+ index]
            }
            taken &+= step
            filled &+= step
            isSilenced = false
            isFromPeer = true
            switch source {
            case .received: break
            case .recovered: isRecovered = true
            case .concealed: isConcealed = true
            }
            if filled == Self.samplesPerFrame { deliver(now: now) }
        }
    }

    func appendSilence(_ count: Int, now: MonotonicTime) {
        var left = count
        while left > 0 {
            // The rest of the pause is shortened away.
            if filled == 0, isQuiet, soundsUntil > now + Self.ease { return }
            if filled == 0 { level = nil }
            let step = min(left, Self.samplesPerFrame &- filled)
            let isWhole = step == Self.samplesPerFrame
            if isWhole, isSilenced {
                isQuiet = true
                hand(over: 0, now: now)
                left &-= step
                continue
            }
            var frame = partial.mutableSpan
            for index in filled..<filled &+ step { frame[index] = 0 }
            filled &+= step
            left &-= step
            if filled == Self.samplesPerFrame { deliver(now: now) }
            isSilenced = isWhole
        }
    }

    /// Makes up for the time in which nothing came; returns how many samples at 48 kHz.
    ///
    /// After a stop of more than a second the clock jumps: no listener has room for so much silence.
    func appendSilence(until now: MonotonicTime) -> Int64 {
        var made: Int64 = 0
        let behind = now - soundsUntil
        if behind > Self.longestLead {
            let skipped = (behind - Self.longestLead).nanoseconds / Self.frame.nanoseconds
            made = skipped &* Int64(Self.samplesPerFrame)
            mediaTime &+= UInt64(truncatingIfNeeded: made)
            soundsUntil = soundsUntil + .nanoseconds(skipped &* Self.frame.nanoseconds)
        }
        while silenceDue <= now {
            appendSilence(Self.samplesPerFrame, now: now)
            made &+= Int64(Self.samplesPerFrame)
        }
        return made
    }

    private func deliver(now: MonotonicTime) {
        let (wasFromPeer, wasConcealed, wasRecovered) = (isFromPeer, isConcealed, isRecovered)
        filled = 0
        isFromPeer = false
        isConcealed = false
        isRecovered = false
        var output = resampled.mutableSpan
        let count = (try? resampler.process(partial.span, into: &output)) ?? 0
        isQuiet = noiseFloor.isSilent(resampled.span.extracting(first: count), isReal: !wasConcealed)
        guard hand(over: count, concealed: wasConcealed, now: now) else { return }
        if wasFromPeer { framesFromPeer &+= 1 }
        if wasConcealed { framesConcealed &+= 1 }
        if wasRecovered { framesRecovered &+= 1 }
    }

    /// Gives the queue the first `count` of `resampled`, zeros where there are none.
    ///
    /// - Returns: false when a pause is shortened by it instead.
    @discardableResult
    private func hand(over count: Int, concealed: Bool = false, now: MonotonicTime) -> Bool {
        if isQuiet, soundsUntil > now + Self.ease { return false }
        soundsUntil = soundsUntil + Self.frame
        queue.push(
            resampled.span.extracting(first: count), timestamp: mediaTime, concealed: concealed, silent: isQuiet,
            level: level)
        mediaTime &+= UInt64(Self.samplesPerFrame)
        return true
    }
}
