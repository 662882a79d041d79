internal import Synchronization
internal import Wire

/// Audio on its way from a pipeline to the media loop, so much of it at most, with marks between the samples.
///
/// Any task plays, and waits while the queue is full; one thread pulls, never waits beyond a short lock, nor allocates.
package final class PlayoutQueue: Sendable {
    /// How much audio may wait unless somebody says otherwise.
    package static let usualCapacity = Duration.seconds(30)
    /// How many marks may wait.
    package static let maximumMarks = 1024
    /// Samples of no more than this, -44 dBFS, are no speech.
    private static let silence = 200
    /// Nobody hears a mean square of less than -60 dBFS.
    private static let quietPower: Int64 = 1074

    private struct Chunk {
        var samples: ArraySlice<Int16>
        var isSilent: Bool
    }

    private enum Puller {
        /// A pull found nothing, and who pulls has gone to rest.
        case resting
        /// It was told that there is something again, and has not come yet.
        case woken
        case pulling
    }

    private struct State {
        /// Audio not yet pulled, oldest at `head`; what lies before `head` is spent.
        var chunks: [Chunk] = []
        var head = 0
        /// Samples ever enqueued, ever taken off, pulled or cleared, and ever played: those of the last pull are not
        /// yet.
        var enqueued = 0
        var removed = 0
        var played = 0
        /// Where the last of what can be heard ends, in samples ever enqueued.
        var spokenEnd = 0
        /// Samples pulled since the queue was last empty or cleared.
        var heard = 0
        /// Played when more has been pulled than its position.
        var start: PlayoutMark?
        /// How often the queue was cleared: a `play` that began before does not go on.
        var clears = 0
        var isFinished = false
        /// In the order of their positions.
        var marks: [PlayoutMark] = []
        var firstMark = 0
        /// Marks ever set.
        var marksSet = 0
        var puller = Puller.resting
        /// Calls of `play` that wait for room, by number.
        var waiters: [(number: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var lastNumber = 0

        var queued: Int { enqueued - removed }
    }

    /// Samples a second of what is played.
    package let rate: Int
    private let limit: Int
    /// Who waits for room is woken when there is this much, not for every frame.
    private let wakeRoom: Int
    /// 20 ms of samples.
    private let crumb: Int
    private let state = Mutex(State())
    /// Who pulls and rests is told by this that there is something again.
    private let wake = Mutex<(@Sendable () -> Void)?>(nil)

    /// - Parameter capacity: how much audio may wait, in whole seconds.
    package init(rate: Int, capacity: Duration = usualCapacity) {
        self.rate = rate
        limit = Int(capacity.components.seconds) * rate
        wakeRoom = rate / 2
        crumb = rate / 50
    }
}

// MARK: - The pipeline's side

extension PlayoutQueue {
    /// Enqueues samples, any number; suspends while the queue is full. Returns early when `clear` drops the rest.
    ///
    /// - Throws: when the task is cancelled or the queue finished; what was enqueued by then stays.
    package func play(_ samples: [Int16]) async throws(CancellationError) {
        var rest = samples[...]
        var clears: Int?
        let isSpeech = Self.isSpeech(samples)
        let isSilent = !isSpeech && !Self.isHeard(samples.span, count: samples.count)
        while !rest.isEmpty {
            guard !Task.isCancelled else { throw CancellationError() }
            let (isFinished, wantsWake) = state.withLock { state in
                guard !state.isFinished, clears == nil || clears == state.clears else {
                    rest = []
                    return (state.isFinished, false)
                }
                clears = state.clears
                let count = min(rest.count, limit - state.queued)
                guard count > 0 else { return (false, false) }
                compact(&state)
                if state.queued == 0 { state.heard = 0 }
                append(rest.prefix(count), isSilent: isSilent, to: &state)
                state.enqueued += count
                if isSpeech { state.spokenEnd = state.enqueued }
                rest = rest.dropFirst(count)
                guard state.puller == .resting else { return (false, false) }
                state.puller = .woken
                return (false, true)
            }
            if isFinished { throw CancellationError() }
            if wantsWake { wake.withLock(\.self)?() }
            if !rest.isEmpty { await waitForRoom(min(rest.count, wakeRoom)) }
        }
    }

    /// What comes in crumbs is joined to frames: a chunk for each sample would cost a hundred times its sound.
    private func append(_ samples: ArraySlice<Int16>, isSilent: Bool, to state: inout State) {
        if state.head < state.chunks.count, let last = state.chunks.indices.last,
            state.chunks[last].samples.count + samples.count <= crumb
        {
            state.chunks[last].samples += samples
            state.chunks[last].isSilent = state.chunks[last].isSilent && isSilent
        } else {
            state.chunks.append(Chunk(samples: samples, isSilent: isSilent))
        }
    }

    /// Whether any of it is loud enough for speech.
    package static func isSpeech(_ samples: [Int16]) -> Bool {
        samples.contains { $0.magnitude > silence }
    }

    private static func isHeard(_ samples: Span<Int16>, count: Int) -> Bool {
        var loudest: UInt16 = 0
        var energy: Int64 = 0
        for index in 0..<count {
            let sample = samples[index]
            loudest = max(loudest, sample.magnitude)
            energy &+= Int64(sample) &* Int64(sample)
        }
        return loudest > silence || energy > quietPower &* Int64(count)
    }

    /// A mark behind everything enqueued so far; await its `outcome`. Beyond `maximumMarks` it counts as cleared.
    package func mark() -> PlayoutMark {
        let (mark, outcome) = state.withLock { state -> (PlayoutMark, PlayoutMark.Outcome?) in
            let mark = PlayoutMark(position: state.enqueued)
            state.marksSet += 1
            if state.isFinished || state.marks.count - state.firstMark >= Self.maximumMarks { return (mark, .cleared) }
            if state.queued == 0, state.played == state.removed { return (mark, .played) }
            state.marks.append(mark)
            return (mark, nil)
        }
        if let outcome { mark.settle(outcome) }
        return mark
    }

    /// A mark that is played when the first sample is pulled of what is enqueued next, or, where `queued` is so, of what
    /// waits already. There is one at a time: the one before it counts as cleared.
    package func startMark(queued: Bool) -> PlayoutMark {
        let (mark, former) = state.withLock { state in
            let mark = PlayoutMark(position: queued ? state.removed : state.enqueued)
            guard !state.isFinished else { return (mark, mark as PlayoutMark?) }
            defer { state.start = mark }
            return (mark, state.start)
        }
        former?.settle(.cleared)
        return mark
    }

    /// Returns when everything enqueued so far has been pulled or cleared.
    package func drained() async {
        _ = await mark().outcome
    }

    /// Drops what is queued, and the rest of every `play` in progress; returns how much was heard of the speech that
    /// was going on, zero when none was. Speech begins when an empty queue is played to.
    @discardableResult
    package func clear() -> Duration {
        empty(finishing: false).heard
    }

    /// The same; returns how far the queue had been pulled, counted as `position` is.
    package func clearAtPosition() -> Duration {
        empty(finishing: false).position
    }

    /// Ends the queue: drops what is queued and ends everybody who waits.
    package func finish() {
        _ = empty(finishing: true)
    }

    /// How much was ever enqueued: where what is played next begins.
    package var position: Duration { duration(of: state.withLock { $0.enqueued }) }

    /// Has `wake` called, on whatever thread plays, when something is played after a pull that found nothing.
    package func onPlay(_ wake: @escaping @Sendable () -> Void) {
        self.wake.withLock { $0 = wake }
    }

    /// Whether there is anything to pull.
    package var isPlaying: Bool { state.withLock { $0.queued > 0 } }

    /// Grows with everything played that is more than silence.
    package var spoken: Int { state.withLock { $0.spokenEnd } }

    /// Whether some of that is still to be pulled.
    package var isSpeaking: Bool { state.withLock { $0.removed < $0.spokenEnd } }

    /// How many samples wait to be pulled.
    package var queuedSamples: Int { state.withLock { $0.queued } }

    /// How many samples were ever enqueued.
    package var enqueuedSamples: Int { state.withLock { $0.enqueued } }

    /// How much waits to be pulled; how often it was cleared, and how many marks were set.
    package var figures: (depth: Duration, clears: Int, marks: Int) {
        state.withLock { (duration(of: $0.queued), $0.clears, $0.marksSet) }
    }

    private func duration(of samples: Int) -> Duration {
        .seconds(samples / rate) + .nanoseconds(Int64(samples % rate) * 1_000_000_000 / Int64(rate))
    }

    private func empty(finishing: Bool) -> (heard: Duration, position: Duration) {
        // The chunks go too, but half a minute of sound is not freed under the lock.
        let (heard, position, marks, waiters, _) = state.withLock { state in
            let heard = state.queued > 0 ? state.heard : 0
            let position = state.removed
            let marks = state.marks[state.firstMark...] + [state.start].compactMap(\.self)
            let dropped = (marks, state.waiters, state.chunks)
            // It will come and find nothing, and may not even look.
            if state.puller == .woken { state.puller = .resting }
            state.clears += finishing ? 0 : 1
            state.isFinished = state.isFinished || finishing
            state.removed = state.enqueued
            state.played = state.enqueued
            state.heard = 0
            (state.chunks, state.head) = ([], 0)
            (state.marks, state.firstMark, state.start) = ([], 0, nil)
            state.waiters = []
            return (heard, position, dropped.0, dropped.1, dropped.2)
        }
        for mark in marks { mark.settle(.cleared) }
        for waiter in waiters { waiter.continuation.resume() }
        return (duration(of: heard), duration(of: position))
    }

    /// Lets go of what was pulled, on the side that may take its time.
    private func compact(_ state: inout State) {
        if state.head * 2 > state.chunks.count {
            state.chunks.removeFirst(state.head)
            state.head = 0
        }
        if state.firstMark * 2 > state.marks.count {
            state.marks.removeFirst(state.firstMark)
            state.firstMark = 0
        }
    }

    /// Returns when there is room for `count` samples, when the queue was cleared or finished, or the task cancelled.
    private func waitForRoom(_ count: Int) async {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    // A cancellation before this point found nobody to resume.
                    guard limit - state.queued < count, !state.isFinished, !Task.isCancelled else { return false }
                    state.waiters.append((number, continuation))
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0).continuation }
            }
            waiter?.resume()
        }
    }
}

// MARK: - The media loop's side

extension PlayoutQueue {
    /// What a pull gave.
    package enum Pulled: Sendable, Equatable {
        /// Nothing: there is nothing to play.
        case nothing
        /// Sound that nobody would hear; the samples are of no use.
        case silence
        case sound
    }

    /// Moves up to `count` samples to the front of `samples`. When the queue ends within them the tail is filled with
    /// zeros.
    ///
    /// Called once in the time that `count` samples take: what the call before took is played by now, and its marks
    /// with it. A `count` of 0 does that alone.
    package func pull(into samples: inout MutableSpan<Int16>, count: Int) -> Pulled {
        let count = min(count, samples.count)
        var (filled, isSilent) = (0, true)
        let (started, hasMark, hasRoom) = state.withLock { state in
            state.played = state.removed
            while filled < count, state.head < state.chunks.count {
                let chunk = state.chunks[state.head]
                let taken = min(count - filled, chunk.samples.count)
                if isSilent, !chunk.isSilent {
                    for index in 0..<filled { samples[index] = 0 }
                    isSilent = false
                }
                if !isSilent {
                    let start = chunk.samples.startIndex
                    for index in 0..<taken { samples[filled + index] = chunk.samples[start + index] }
                }
                filled += taken
                if taken == chunk.samples.count {
                    state.head += 1
                } else {
                    state.chunks[state.head].samples = chunk.samples.dropFirst(taken)
                }
            }
            state.removed += filled
            state.heard += filled
            state.puller = filled == 0 ? .resting : .pulling
            let hasMark = state.firstMark < state.marks.count && state.marks[state.firstMark].position <= state.played
            let hasRoom = !state.waiters.isEmpty && limit - state.queued >= wakeRoom
            var started: PlayoutMark?
            if let start = state.start, start.position < state.removed { (started, state.start) = (start, nil) }
            return (started, hasMark, hasRoom)
        }
        started?.settle(.played)
        if hasMark { settleMarks() }
        guard filled > 0 else { return .nothing }
        if hasRoom { wakePlayers() }
        guard !isSilent else { return .silence }
        for index in filled..<count { samples[index] = 0 }
        return Self.isHeard(samples.span, count: count) ? .sound : .silence
    }

    /// One at a time, so that nobody is resumed under the lock and no list of them is made.
    private func settleMarks() {
        while let mark = state.withLock({ state -> PlayoutMark? in
            guard state.firstMark < state.marks.count, state.marks[state.firstMark].position <= state.played else {
                return nil
            }
            state.firstMark += 1
            return state.marks[state.firstMark - 1]
        }) {
            mark.settle(.played)
        }
    }

    private func wakePlayers() {
        while let waiter = state.withLock({ $0.waiters.isEmpty ? nil : $0.waiters.removeFirst().continuation }) {
            waiter.resume()
        }
    }
}
