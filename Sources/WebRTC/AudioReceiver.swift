import Audio
import Wire

/// Puts a stream's packets in order and turns them into sound.
///
/// For machines rather than ears: a packet is played the moment it is in order. A gap waits 40 ms for what is missing;
/// then the copy that the next packet may carry takes its place, else the codec guesses up to 120 ms, and the rest is
/// silence. While nothing comes, silence is made in real time, so that a listener's sense of time goes on.
final class AudioReceiver {
    /// How long a gap waits for what is missing.
    static let hold = Duration.milliseconds(40)
    /// Samples at 48 kHz.
    private static let longestConcealment: Int64 = 5760
    private static let longestSilence: Int64 = 48_000
    /// Of a packet this far behind its turn the sender has begun to count anew (RFC 3550 A.1).
    private static let longestDisorder: Int64 = 100

    private var decoder: OpusDecoder
    private let frames: FrameAssembler
    private var reorder = ReorderRing()

    /// The next packet to play; nil before the first.
    private var expected: Int64?
    private var sequence = ExtendedSequence()
    /// RTP time of the next sample to play, and the last 32-bit timestamp it was made from.
    private var position: Int64?
    private var lastTimestamp: UInt32 = 0
    private var extendedTimestamp: Int64 = 0
    private var decoded = [Int16](repeating: 0, count: Opus.maximumSamples)

    /// When the wait for what is missing before the packets in `reorder` is over.
    private var gapDeadline: MonotonicTime?

    private(set) var packetsLate = 0
    private(set) var packetsMalformed = 0
    /// Sent faster than time passes.
    private(set) var packetsSurplus = 0
    var framesConcealed: Int { frames.framesConcealed }

    /// - Parameter rate: Hz of the frames; they have `rate / 50` samples.
    init(rate: Int, queue: PCMInputQueue, now: MonotonicTime) throws(AudioError) {
        decoder = try OpusDecoder()
        frames = try FrameAssembler(rate: rate, queue: queue, now: now)
    }

    var deadline: MonotonicTime {
        gapDeadline ?? frames.silenceDue
    }

    /// Another stream begins: its numbers have nothing to do with the last one's.
    func restart() {
        expected = nil
        position = nil
        gapDeadline = nil
        sequence = ExtendedSequence()
        reorder.removeAll()
        decoder.reset()
    }

    func receive(sequenceNumber: UInt16, timestamp: UInt32, payload: Span<UInt8>, now: MonotonicTime) {
        let number = turn(of: sequenceNumber)
        let due = expected ?? number
        if number < due {
            packetsLate &+= 1
        } else if number == due {
            play(timestamp, payload, now: now)
            advance(to: number &+ 1, now: now)
        } else if reorder.insert(number, timestamp: timestamp, payload: payload, next: due, now: now) {
            awaitMissing()
        } else {
            // Too far ahead to wait for what lies between.
            while !reorder.isEmpty { giveUpOnMissing(now: now) }
            bridgeGap(to: timestamp, payload, now: now)
            play(timestamp, payload, now: now)
            advance(to: number &+ 1, now: now)
        }
    }

    /// A packet of the stream that carries no sound: only its place in the order counts.
    func skip(sequenceNumber: UInt16, now: MonotonicTime) {
        let number = turn(of: sequenceNumber)
        guard let expected, number >= expected else { return }
        if number == expected {
            advance(to: number &+ 1, now: now)
        } else if reorder.insert(number, timestamp: nil, payload: [UInt8]().span, next: expected, now: now) {
            awaitMissing()
        }
    }

    func handleTimeout(now: MonotonicTime) {
        while let gapDeadline, gapDeadline <= now {
            giveUpOnMissing(now: now)
        }
        guard gapDeadline == nil else { return }
        let made = frames.appendSilence(until: now)
        position = position.map { $0 &+ made }
    }

    // MARK: - Order

    /// The extended number of a packet, which becomes the first again when the sender counts anew.
    private func turn(of sequenceNumber: UInt16) -> Int64 {
        let number = sequence.extend(sequenceNumber)
        guard let expected, number < expected &- Self.longestDisorder else { return number }
        restart()
        return sequence.extend(sequenceNumber)
    }

    /// Plays what follows on, and waits for the next gap if there is one.
    private func advance(to next: Int64, now: MonotonicTime) {
        var next = next
        while let slot = reorder.take(next) {
            playSlot(slot.place, slot.timestamp, afterGap: false, now: now)
            next &+= 1
        }
        expected = next
        awaitMissing()
    }

    private func awaitMissing() {
        gapDeadline = reorder.firstArrival.map { $0 + Self.hold }
    }

    /// Goes on with the earliest packet that waits.
    private func giveUpOnMissing(now: MonotonicTime) {
        guard let number = reorder.earliest, let slot = reorder.take(number) else {
            gapDeadline = nil
            return
        }
        playSlot(slot.place, slot.timestamp, afterGap: true, now: now)
        advance(to: number &+ 1, now: now)
    }

    private func playSlot(_ place: Int, _ timestamp: UInt32?, afterGap: Bool, now: MonotonicTime) {
        guard let timestamp else { return }
        let payload = reorder.lend(place)
        if afterGap { bridgeGap(to: timestamp, payload.span, now: now) }
        play(timestamp, payload.span, now: now)
        reorder.giveBack(payload, to: place)
    }

    // MARK: - Sound

    private func play(_ timestamp: UInt32, _ payload: Span<UInt8>, now: MonotonicTime) {
        let start = extend(timestamp)
        if let position, start > position, start &- position <= Self.longestSilence {
            frames.appendSilence(Int(start &- position), now: now)
        }
        position = start
        guard let duration = Opus.duration(of: payload) else {
            packetsMalformed &+= 1
            return
        }
        position = start &+ Int64(duration)
        guard !frames.isFarAhead(of: now) else {
            packetsSurplus &+= 1
            return
        }
        var samples = decoded.mutableSpan
        guard let count = try? decoder.decode(payload, into: &samples) else {
            packetsMalformed &+= 1
            position = start
            return
        }
        frames.goLive(now)
        frames.append(decoded, count: count, isConcealed: false, now: now)
    }

    /// Puts something in the place of packets that did not come, before the `next` that did.
    private func bridgeGap(to timestamp: UInt32, _ next: Span<UInt8>, now: MonotonicTime) {
        guard let position, !frames.isFarAhead(of: now) else { return }
        let missing = extend(timestamp) &- position
        guard missing > 0, missing <= Self.longestSilence else { return }
        // libopus conceals in steps of 2.5 ms.
        let count = Int(min(missing, Self.longestConcealment)) / 120 * 120
        guard count > 0 else { return }
        var samples = decoded.mutableSpan
        let recovered =
            missing <= Self.longestConcealment ? try? decoder.recover(from: next, count: count, into: &samples) : nil
        guard let made = recovered ?? (try? decoder.conceal(count: count, into: &samples)) else { return }
        frames.append(decoded, count: made, isConcealed: true, now: now)
        self.position = position &+ Int64(made)
    }

    private func extend(_ timestamp: UInt32) -> Int64 {
        extendedTimestamp &+= Int64(Int32(bitPattern: timestamp &- lastTimestamp))
        lastTimestamp = timestamp
        return extendedTimestamp
    }
}
