import Audio
import Wire

/// Puts a stream's packets in order and turns them into the 20 ms frames that a pipeline hears.
///
/// For machines rather than ears: a frame leaves the moment it is in order. A gap waits 40 ms for the missing packet;
/// then the codec guesses up to 120 ms of it, and the rest is silence. While nothing comes, silence is made in real
/// time, so that a listener's sense of time goes on.
final class AudioReceiver {
    /// How long a gap waits for what is missing.
    static let hold = Duration.milliseconds(40)
    /// How late a sender may be before its silence is taken for one.
    private static let patience = Duration.milliseconds(60)
    private static let frame = Duration.milliseconds(20)
    /// Samples at 48 kHz.
    private static let samplesPerFrame = 960
    private static let longestConcealment = 5760
    private static let longestSilence: Int64 = 48_000
    private static let longestPacket = 5760

    private var decoder: OpusDecoder
    private var resampler: Resampler
    private let queue: PCMInputQueue
    private var reorder = ReorderRing()

    /// The next packet to play; nil before the first.
    private var expected: Int64?
    private var sequence = ExtendedSequence()
    /// RTP time of the next sample to play, and the last 32-bit timestamp it was made from.
    private var position: Int64?
    private var lastTimestamp: UInt32 = 0
    private var extendedTimestamp: Int64 = 0
    private var gapDeadline: MonotonicTime?
    /// When the sound that was delivered so far is through, by the clock of whoever listens.
    private var soundsUntil: MonotonicTime

    /// Decoded samples that do not fill a frame yet.
    private var partial = [Int16](repeating: 0, count: samplesPerFrame)
    private var filled = 0
    private var partialIsConcealed = false
    /// Samples delivered, at 48 kHz.
    private var mediaTime: UInt64 = 0
    private var decoded = [Int16](repeating: 0, count: longestPacket)
    private var resampled: [Int16]

    private(set) var packetsLate = 0
    private(set) var packetsMalformed = 0
    private(set) var framesConcealed = 0

    /// - Parameter rate: Hz of the frames; they have `rate / 50` samples.
    init(rate: Int, queue: PCMInputQueue, now: MonotonicTime) throws(AudioError) {
        decoder = try OpusDecoder()
        resampler = try Resampler(from: 48_000, to: rate)
        self.queue = queue
        resampled = [Int16](repeating: 0, count: rate / 50)
        soundsUntil = now
    }

    var deadline: MonotonicTime? {
        gapDeadline ?? (soundsUntil + Self.patience + Self.frame)
    }

    /// Another stream begins: its numbers have nothing to do with the last one's.
    func restart(now: MonotonicTime) {
        expected = nil
        position = nil
        gapDeadline = nil
        sequence = ExtendedSequence()
        reorder.removeAll()
        decoder.reset()
    }

    func receive(sequenceNumber: UInt16, timestamp: UInt32, payload: Span<UInt8>, now: MonotonicTime) {
        let number = sequence.extend(sequenceNumber)
        let due = expected ?? number
        if number < due {
            packetsLate &+= 1
        } else if number == due {
            play(timestamp, payload, now: now)
            advance(to: number &+ 1, now: now)
        } else if !reorder.insert(number, timestamp: timestamp, payload: payload, next: due) {
            // Too far ahead to wait for what lies between.
            concealGap(now: now)
            play(timestamp, payload, now: now)
            advance(to: number &+ 1, now: now)
        } else if gapDeadline == nil {
            gapDeadline = now + Self.hold
        }
    }

    /// A packet of the stream that carries no sound: only its place in the order counts.
    func skip(sequenceNumber: UInt16, now: MonotonicTime) {
        let number = sequence.extend(sequenceNumber)
        if number == expected {
            advance(to: number &+ 1, now: now)
        } else if let expected, number > expected {
            _ = reorder.insert(number, timestamp: nil, payload: [UInt8]().span, next: expected)
        }
    }

    func handleTimeout(now: MonotonicTime) {
        if let gapDeadline {
            if gapDeadline <= now { concealGap(now: now) }
            return
        }
        while soundsUntil + Self.patience + Self.frame <= now {
            appendSilence(Self.samplesPerFrame)
            position = position.map { $0 &+ Int64(Self.samplesPerFrame) }
            soundsUntil = soundsUntil + Self.frame
        }
    }

    // MARK: - Order

    /// Plays what follows on, and starts waiting again if there is another gap behind it.
    private func advance(to next: Int64, now: MonotonicTime) {
        var next = next
        while let slot = reorder.take(next) {
            playSlot(slot, now: now)
            next &+= 1
        }
        expected = next
        gapDeadline = reorder.isEmpty ? nil : now + Self.hold
    }

    /// Gives up on what is missing before the earliest packet that waits, and goes on with that one.
    private func concealGap(now: MonotonicTime) {
        gapDeadline = nil
        guard let number = reorder.earliest, let slot = reorder.take(number) else { return }
        if let timestamp = reorder.timestamp(of: slot), let position {
            let missing = extend(timestamp) &- position
            if missing > 0, missing <= Self.longestSilence {
                conceal(Int(min(missing, Int64(Self.longestConcealment))))
                self.position = position &+ min(missing, Int64(Self.longestConcealment))
            }
        }
        playSlot(slot, now: now)
        advance(to: number &+ 1, now: now)
    }

    private func playSlot(_ slot: Int, now: MonotonicTime) {
        guard let timestamp = reorder.timestamp(of: slot) else { return }
        let payload = reorder.payload(of: slot)
        play(timestamp, payload.span, now: now)
        reorder.give(back: payload, to: slot)
    }

    // MARK: - Sound

    private func play(_ timestamp: UInt32, _ payload: Span<UInt8>, now: MonotonicTime) {
        let start = extend(timestamp)
        if let position, start > position, start &- position <= Self.longestSilence {
            appendSilence(Int(start &- position))
        }
        var samples = decoded.mutableSpan
        guard let count = try? decoder.decode(payload, into: &samples) else {
            packetsMalformed &+= 1
            return
        }
        append(count: count, isConcealed: false)
        position = start &+ Int64(count)
        let duration = Duration.nanoseconds(Int64(count) * 1_000_000_000 / 48_000)
        soundsUntil = min(max(soundsUntil, now) + duration, now + .seconds(1))
    }

    private func conceal(_ count: Int) {
        var left = count / 120 * 120  // libopus conceals in steps of 2.5 ms
        while left > 0 {
            var samples = decoded.mutableSpan
            guard let made = try? decoder.conceal(count: min(left, Self.samplesPerFrame), into: &samples) else { return }
            append(count: made, isConcealed: true)
            left -= made
        }
    }

    private func appendSilence(_ count: Int) {
        var left = count
        while left > 0 {
            let step = min(left, Self.samplesPerFrame)
            for index in 0..<step { decoded[index] = 0 }
            append(count: step, isConcealed: false)
            left -= step
        }
    }

    /// Cuts the first `count` samples of `decoded` into frames.
    private func append(count: Int, isConcealed: Bool) {
        var taken = 0
        while taken < count {
            let step = min(count &- taken, Self.samplesPerFrame &- filled)
            for index in 0..<step {
                partial[filled &+ index] = decoded[taken &+ index]
            }
            taken &+= step
            filled &+= step
            partialIsConcealed = partialIsConcealed || isConcealed
            if filled == Self.samplesPerFrame { deliver() }
        }
    }

    private func deliver() {
        var output = resampled.mutableSpan
        guard let count = try? resampler.process(partial.span, into: &output) else { return }
        var energy: Int64 = 0
        for index in 0..<count {
            let sample = Int64(resampled[index])
            energy &+= sample &* sample
        }
        // -60 dBFS: a root mean square of 33 of 32768.
        let isSilent = energy < Int64(count) &* 33 &* 33
        queue.push(
            resampled.span.extracting(first: count), timestamp: mediaTime, concealed: partialIsConcealed,
            silent: isSilent)
        if partialIsConcealed { framesConcealed &+= 1 }
        mediaTime &+= UInt64(Self.samplesPerFrame)
        filled = 0
        partialIsConcealed = false
    }

    private func extend(_ timestamp: UInt32) -> Int64 {
        extendedTimestamp &+= Int64(Int32(bitPattern: timestamp &- lastTimestamp))
        lastTimestamp = timestamp
        return extendedTimestamp
    }
}
