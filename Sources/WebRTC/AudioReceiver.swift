package import Audio
package import Wire

/// Puts a stream's packets in order and turns them into sound.
///
/// For machines rather than ears: a packet is played the moment it is in order. A gap waits as long as this call's
/// reordering needs; then the copy that the next packet may carry takes the place of the last that is missing, the codec
/// guesses up to 120 ms, and the rest is silence. While nothing comes, time goes on with guesses and silence likewise.
package final class AudioReceiver {
    /// Samples at 48 kHz.
    private static let longestConcealment: Int64 = 5760
    private static let longestSilence: Int64 = 48_000
    private static let workPerSecond = 2 * Opus.rate
    /// Of a packet this far behind its turn the sender has begun to count anew (RFC 3550 A.1).
    private static let longestDisorder: Int64 = 100

    private var decoder: OpusDecoder
    private let frames: FrameAssembler
    private var reorder = ReorderRing()
    private var hold = ReorderHold()

    /// The next packet to play; nil before the first.
    private var expected: Int64?
    private var sequence = ExtendedSequence()
    /// RTP time of the next sample to play, and of the end of the last sound: silence that was made meanwhile, in real
    /// time, does not take the place of a sound that comes after all.
    private var position: Int64?
    private var soundEnd: Int64 = 0
    /// The last 32-bit timestamp that `position` was made from.
    private var lastTimestamp: UInt32 = 0
    private var extendedTimestamp: Int64 = 0
    /// Room for 20 ms, and for more once more has come: 120 ms are a twenty-fifth of what a call takes.
    private var decoded = [Int16](repeating: 0, count: Opus.frameSize)
    /// Samples in the last packet, and how many the codec has guessed since.
    private var lastDuration = Int64(Opus.frameSize)
    private var guessed: Int64 = 0
    /// What is decoded and guessed, in samples: who sends faster than time passes does not buy work with it.
    private var work: RateLimiter

    /// When the wait for what is missing before the packets in `reorder` is over.
    private var gapDeadline: MonotonicTime?

    package private(set) var packetsLate = 0
    package private(set) var packetsMalformed = 0
    /// Sent faster than time passes.
    package private(set) var packetsSurplus = 0
    /// Of the frames that a pipeline got: those that the peer sent something for, and of them those with a recovered copy
    /// and with a guess in them.
    package var framesFromPeer: Int { frames.framesFromPeer }
    package var framesRecovered: Int { frames.framesRecovered }
    package var framesConcealed: Int { frames.framesConcealed }
    /// How long a gap waits at present.
    package var reorderHold: Duration { hold.duration }

    /// - Parameter rate: Hz of the frames; they have `rate / 50` samples.
    package init(rate: Int, queue: PCMInputQueue, now: MonotonicTime) throws(AudioError) {
        decoder = try OpusDecoder()
        frames = try FrameAssembler(rate: rate, queue: queue, now: now)
        work = RateLimiter(perSecond: Self.workPerSecond, now: now)
    }

    package var deadline: MonotonicTime {
        gapDeadline ?? frames.silenceDue
    }

    /// Whether `deadline` is that of a gap: what comes next is late already.
    var isHolding: Bool { gapDeadline != nil }

    /// Another stream begins: its numbers have nothing to do with the last one's.
    package func restart() {
        decoder.reset()
        expected = nil
        position = nil
        gapDeadline = nil
        sequence = ExtendedSequence()
        reorder.removeAll()
        hold.restart()
    }

    /// - Parameter level: what RFC 6464 says of the packet, as it came.
    package func receive(
        sequenceNumber: UInt16, timestamp: UInt32, payload: Span<UInt8>, level: UInt8? = nil, now: MonotonicTime
    ) {
        let number = turn(of: sequenceNumber)
        guard hold.arrived(number, now: now) else { return }
        let due = expected ?? number
        let packet = ReorderRing.Packet(timestamp: timestamp, level: level, isRedundant: false)
        if number < due {
            packetsLate &+= 1
        } else if number == due {
            play(packet, payload, now: now)
            advance(to: number &+ 1, now: now)
        } else if reorder.insert(number, packet, payload: payload, next: due, now: now) {
            awaitMissing()
        } else {
            // Too far ahead to wait for what lies between.
            while !reorder.isEmpty { giveUpOnMissing(now: now) }
            bridgeGap(to: timestamp, payload, lost: number &- (expected ?? number), now: now)
            play(packet, payload, now: now)
            advance(to: number &+ 1, now: now)
        }
    }

    /// A copy of a packet that may have been lost, from within a later one (RFC 2198). One whose time has passed tells nothing.
    package func receiveCopy(sequenceNumber: UInt16, timestamp: UInt32, payload: Span<UInt8>, now: MonotonicTime) {
        guard let expected, position != nil, !payload.isEmpty else { return }
        let number = expected &+ Int64(sequenceNumber.steps(after: UInt16(truncatingIfNeeded: expected)))
        let start = extendedTimestamp &+ Int64(Int32(bitPattern: timestamp &- lastTimestamp))
        guard number >= expected, start >= soundEnd else { return }
        let packet = ReorderRing.Packet(timestamp: timestamp, level: nil, isRedundant: true)
        if number == expected {
            play(packet, payload, now: now)
            advance(to: number &+ 1, now: now)
        } else if reorder.insert(number, packet, payload: payload, next: expected, now: now) {
            awaitMissing()
        }
    }

    /// A packet of the stream that carries no sound: only its place in the order counts.
    package func skip(sequenceNumber: UInt16, now: MonotonicTime) {
        let number = turn(of: sequenceNumber)
        guard hold.arrived(number, now: now), let expected, number >= expected else { return }
        if number == expected {
            // The sender is there, and says nothing.
            guessed = Self.longestConcealment
            advance(to: number &+ 1, now: now)
        } else if reorder.insert(number, nil, payload: [UInt8]().span, next: expected, now: now) {
            awaitMissing()
        }
    }

    package func handleTimeout(now: MonotonicTime) {
        while let gapDeadline, gapDeadline <= now {
            giveUpOnMissing(now: now)
        }
        guard gapDeadline == nil else { return }
        keepTime(now: now)
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
            playSlot(slot.place, slot.packet, lost: 0, now: now)
            next &+= 1
        }
        expected = next
        awaitMissing()
    }

    private func awaitMissing() {
        gapDeadline = reorder.firstArrival.map { $0 + hold.duration }
    }

    /// Goes on with the earliest packet that waits.
    private func giveUpOnMissing(now: MonotonicTime) {
        guard let number = reorder.earliest, let slot = reorder.take(number) else {
            gapDeadline = nil
            return
        }
        playSlot(slot.place, slot.packet, lost: number &- (expected ?? number), now: now)
        advance(to: number &+ 1, now: now)
    }

    /// - Parameter lost: how many packets did not come before this one.
    private func playSlot(_ place: Int, _ packet: ReorderRing.Packet?, lost: Int64, now: MonotonicTime) {
        guard let packet else { return }
        let payload = reorder.lend(place)
        if lost > 0 { bridgeGap(to: packet.timestamp, payload.span, lost: lost, now: now) }
        play(packet, payload.span, now: now)
        reorder.giveBack(payload, to: place)
    }

    // MARK: - Sound

    private func play(_ packet: ReorderRing.Packet, _ payload: Span<UInt8>, now: MonotonicTime) {
        let start = extend(packet.timestamp)
        // The next packet, and a later time: nothing was lost, nothing was said (RFC 7587 §3.1.3).
        if let position, start > position, start &- position <= Self.longestSilence {
            frames.appendSilence(Int(start &- position), now: now)
        }
        if let position, start < position, guessed > 0 {
            frames.wasHasty(by: .microseconds(min(position &- start, Self.longestSilence) &* 125 / 6))
        }
        position = start
        guard let duration = Opus.duration(of: payload) else {
            packetsMalformed &+= 1
            return
        }
        position = start &+ Int64(duration)
        guard !frames.isFarAhead(of: now), work.admit(duration, now: now) else {
            packetsSurplus &+= 1
            return
        }
        makeRoom(for: duration)
        var samples = decoded.mutableSpan
        guard let count = try? decoder.decode(payload, into: &samples) else {
            packetsMalformed &+= 1
            position = start
            return
        }
        (lastDuration, guessed) = (Int64(duration), 0)
        soundEnd = start &+ lastDuration
        frames.goLive(now)
        frames.append(decoded, count: count, packet.isRedundant ? .recovered : .received, level: packet.level, now: now)
    }

    /// Puts something in the place of packets that did not come, before the `next` that did.
    ///
    /// The numbers say how many packets are missing, the timestamps how much time: what is more than the packets can have
    /// held was a pause.
    private func bridgeGap(to timestamp: UInt32, _ next: Span<UInt8>, lost: Int64, now: MonotonicTime) {
        guard let position, !frames.isFarAhead(of: now) else { return }
        let start = extend(timestamp)
        let missing = max(start &- position, 0)
        guard missing <= Self.longestSilence else { return }
        let sound = min(missing, max(lost, 0) &* lastDuration)
        // libopus works in steps of 2.5 ms.
        let room = max(min(start &- soundEnd, lost &* lastDuration, lastDuration), 0)
        let copied = Opus.carriesCopy(next) ? room / 120 &* 120 : 0
        let guesses = max(min(sound &- copied, Self.longestConcealment &- guessed) / 120 &* 120, 0)
        let silence = Int(max(missing &- copied &- guesses, 0))
        // A pause is where it was quiet.
        let wasQuiet = frames.isQuiet
        if wasQuiet { frames.appendSilence(silence, now: now) }
        conceal(guesses, now: now)
        if !wasQuiet { frames.appendSilence(silence, now: now) }
        recover(copied, from: next, now: now)
        self.position = start
    }

    private func conceal(_ count: Int64, now: MonotonicTime) {
        guard count > 0, work.admit(Int(count), now: now) else { return }
        makeRoom(for: Int(count))
        var samples = decoded.mutableSpan
        guard let made = try? decoder.conceal(count: Int(count), into: &samples) else { return }
        guessed &+= Int64(made)
        soundEnd &+= Int64(made)
        frames.append(decoded, count: made, .concealed, now: now)
    }

    private func recover(_ count: Int64, from next: Span<UInt8>, now: MonotonicTime) {
        guard count > 0, work.admit(Int(count), now: now) else { return }
        makeRoom(for: Int(count))
        var samples = decoded.mutableSpan
        guard let made = try? decoder.recover(from: next, count: Int(count), into: &samples) else { return }
        frames.append(decoded, count: made, .recovered, now: now)
    }

    private func makeRoom(for count: Int) {
        guard decoded.count < count else { return }
        decoded = [Int16](repeating: 0, count: Opus.maximumSamples)
    }

    /// Makes up for time in which nothing came: what stops in the middle of a sound was lost, after a quiet frame the
    /// sender rests.
    private func keepTime(now: MonotonicTime) {
        while frames.silenceDue <= now, !frames.isQuiet, position != nil, guessed < Self.longestConcealment {
            let before = guessed
            conceal(Int64(Opus.frameSize), now: now)
            guard guessed > before else { break }
            position = position.map { $0 &+ (guessed &- before) }
        }
        let made = frames.appendSilence(until: now)
        position = position.map { $0 &+ made }
    }

    private func extend(_ timestamp: UInt32) -> Int64 {
        extendedTimestamp &+= Int64(Int32(bitPattern: timestamp &- lastTimestamp))
        lastTimestamp = timestamp
        return extendedTimestamp
    }
}
