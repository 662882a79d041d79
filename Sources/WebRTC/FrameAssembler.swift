import Audio
import Wire

/// Cuts sound at 48 kHz into the 20 ms frames that a pipeline hears, at its rate, and keeps their clock.
///
/// Sound that comes late, after silence was made in its place, puts the frames ahead of real time: pauses are shortened
/// until that has worn off, so that no delay stays.
final class FrameAssembler {
    /// How late a sender may be before its silence is taken for one.
    private static let patience = Duration.milliseconds(60)
    /// How far ahead of real time frames may be before pauses are shortened.
    private static let ease = Duration.milliseconds(120)
    /// And before sound is left out: as much as the queue holds.
    private static let longestLead = Duration.seconds(1)
    private static let frame = Duration.milliseconds(20)
    private static let samplesPerFrame = Opus.frameSize

    private var resampler: Resampler
    private let queue: PCMInputQueue
    /// When the sound that was delivered so far is through, by the clock of whoever listens.
    private var soundsUntil: MonotonicTime
    /// Samples that do not fill a frame yet.
    private var partial = [Int16](repeating: 0, count: samplesPerFrame)
    private var noiseFloor = NoiseFloor()
    private var filled = 0
    private var isConcealed = false
    private var resampled: [Int16]
    /// Samples delivered, at 48 kHz.
    private var mediaTime: UInt64 = 0
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
        soundsUntil + Self.patience + Self.frame
    }

    func isFarAhead(of now: MonotonicTime) -> Bool {
        soundsUntil > now + Self.longestLead
    }

    /// What is appended next is heard from `now` on, and not in place of what should have been heard before.
    func goLive(_ now: MonotonicTime) {
        soundsUntil = max(soundsUntil, now)
    }

    /// The first `count` of `samples`.
    func append(_ samples: [Int16], count: Int, isConcealed: Bool, now: MonotonicTime) {
        var taken = 0
        while taken < count {
            let step = min(count &- taken, Self.samplesPerFrame &- filled)
            for index in 0..<step {
                partial[filled &+ index] = samples[taken &+ index]
            }
            taken &+= step
            filled &+= step
            self.isConcealed = self.isConcealed || isConcealed
            if filled == Self.samplesPerFrame { deliver(now: now) }
        }
    }

    func appendSilence(_ count: Int, now: MonotonicTime) {
        var left = count
        while left > 0 {
            let step = min(left, Self.samplesPerFrame &- filled)
            for index in filled..<filled &+ step { partial[index] = 0 }
            filled &+= step
            left &-= step
            if filled == Self.samplesPerFrame { deliver(now: now) }
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
        let wasConcealed = isConcealed
        filled = 0
        isConcealed = false
        var output = resampled.mutableSpan
        let count = (try? resampler.process(partial.span, into: &output)) ?? 0
        let isSilent = isSilent(count: count)
        if isSilent, soundsUntil > now + Self.ease { return }
        soundsUntil = soundsUntil + Self.frame
        queue.push(
            resampled.span.extracting(first: count), timestamp: mediaTime, concealed: wasConcealed, silent: isSilent)
        if wasConcealed { framesConcealed &+= 1 }
        mediaTime &+= UInt64(Self.samplesPerFrame)
    }

    private func isSilent(count: Int) -> Bool {
        var energy: Int64 = 0
        for index in 0..<count {
            let sample = Int64(resampled[index])
            energy &+= sample &* sample
        }
        return noiseFloor.isSilent(Double(energy) / Double(max(count, 1)))
    }
}
