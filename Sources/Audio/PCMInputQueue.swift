internal import Synchronization

/// Audio on its way from the media loop to a pipeline: 20 ms frames in a ring.
///
/// One thread pushes and never waits beyond a short lock, nor allocates while the pipeline keeps up; one task takes. The
/// ring grows to `capacity` for a pipeline that falls behind, which then loses the oldest frames.
package final class PCMInputQueue: Sendable {
    /// 20 ms of PCM.
    package struct Frame: Equatable, Sendable {
        package var samples: [Int16]
        /// Media time of the first sample, in samples at 48 kHz, extended so that it does not wrap.
        package var timestamp: UInt64
        /// Whether any of it was made up for lost packets.
        package var concealed: Bool
        /// Whether it is silence put in while the peer sent nothing.
        package var silent: Bool
        /// What the peer said of the packet in which it begins, as RFC 6464 has it: a voice bit, and -dBov.
        package var level: UInt8?

        package init(
            samples: [Int16], timestamp: UInt64, concealed: Bool = false, silent: Bool = false, level: UInt8? = nil
        ) {
            self.samples = samples
            self.timestamp = timestamp
            self.concealed = concealed
            self.silent = silent
            self.level = level
        }
    }

    private struct Slot {
        /// Samples in `storage`; none for silence.
        var count = 0
        var timestamp: UInt64 = 0
        var concealed = false
        var silent = false
        var level: UInt8?
    }

    private struct State {
        var storage: [Int16]
        var slots: [Slot]
        var first = 0
        var count = 0
        var dropped = 0
        var spoken = 0
        /// The last timestamp as it was pushed, and what is added to those of this peer connection.
        var last: UInt64 = 0
        var offset: UInt64 = 0
        var isFinished = false
        /// Resumed with true to look again, with false to give way to another.
        var waiter: CheckedContinuation<Bool, Never>?
    }

    private let frameSize: Int
    private let capacity: Int
    /// What every frame of silence refers to.
    private let zeros: [Int16]
    private let state: Mutex<State>

    /// - Parameters:
    ///   - frameSize: samples in 20 ms at the pipeline's rate.
    ///   - capacity: how many frames may wait; the default is 1 s.
    package init(frameSize: Int, capacity: Int = 50) {
        self.frameSize = frameSize
        self.capacity = max(capacity, 1)
        zeros = [Int16](repeating: 0, count: frameSize)
        // Room for more is made when a pipeline falls behind, which few do.
        let slots = min(self.capacity, 4)
        state = Mutex(
            State(
                storage: [Int16](repeating: 0, count: frameSize * slots),
                slots: [Slot](repeating: Slot(), count: slots)))
    }

    /// How much waits for the pipeline.
    package var depth: Duration { .milliseconds(20 * state.withLock { $0.count }) }

    /// How many frames were dropped because the pipeline did not take them in time.
    package var dropped: Int { state.withLock { $0.dropped } }

    /// How many frames were not silent.
    package var spoken: Int { state.withLock { $0.spoken } }

    /// Adds one frame, whose media time begins anew with each peer connection; samples beyond `frameSize` are cut, and no
    /// samples at all are a frame of zeros. Does nothing after `finish`.
    package func push(
        _ samples: Span<Int16>, timestamp: UInt64, concealed: Bool, silent: Bool, level: UInt8? = nil
    ) {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.isFinished else { return nil }
            if state.count == capacity {
                state.first = (state.first + 1) % state.slots.count
                state.count -= 1
                state.dropped += 1
            } else if state.count == state.slots.count {
                grow(&state)
            }
            // A connection that takes another's place begins at 0, and the pipeline's clock goes on.
            if timestamp < state.last { state.offset &+= state.last &+ 960 &- timestamp }
            state.last = timestamp
            let slot = (state.first + state.count) % state.slots.count
            let count = min(samples.count, frameSize)
            var storage = state.storage.mutableSpan
            for index in 0..<count { storage[slot * frameSize + index] = samples[index] }
            state.slots[slot] = Slot(
                count: count, timestamp: timestamp &+ state.offset, concealed: concealed, silent: silent, level: level)
            state.count += 1
            if !silent { state.spoken += 1 }
            return state.waiter.take()
        }
        waiter?.resume(returning: true)
    }

    /// Ends the queue: frames already in it are still delivered, then nil.
    package func finish() {
        let waiter = state.withLock { state in
            state.isFinished = true
            return state.waiter.take()
        }
        waiter?.resume(returning: true)
    }

    /// The next frame; nil once finished and empty, or when the task is cancelled. For one task at a time: of two, the
    /// first to wait gets nil.
    package func next() async -> Frame? {
        while !Task.isCancelled {
            let (frame, isFinished) = state.withLock { (pop(&$0), $0.isFinished) }
            if frame != nil || isFinished { return frame }
            guard await waitForPush() else { return nil }
        }
        return nil
    }

    /// Doubles the ring, the oldest frame first.
    private func grow(_ state: inout State) {
        let more = min(capacity, 2 * state.slots.count) - state.slots.count
        let start = state.first * frameSize
        state.storage = Array(state.storage[start...] + state.storage[..<start])
        state.storage += [Int16](repeating: 0, count: more * frameSize)
        state.slots = Array(state.slots[state.first...] + state.slots[..<state.first])
        state.slots += [Slot](repeating: Slot(), count: more)
        state.first = 0
    }

    private func pop(_ state: inout State) -> Frame? {
        guard state.count > 0 else { return nil }
        let slot = state.slots[state.first]
        let start = state.first * frameSize
        state.first = (state.first + 1) % state.slots.count
        state.count -= 1
        let samples = slot.count > 0 ? Array(state.storage[start..<start + slot.count]) : zeros
        return Frame(
            samples: samples, timestamp: slot.timestamp,
            concealed: slot.concealed, silent: slot.silent, level: slot.level)
    }

    /// Returns when it is worth looking again: true, or false when another task waits now.
    private func waitForPush() async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (waits, former) = state.withLock { state -> (Bool, CheckedContinuation<Bool, Never>?) in
                    // A cancellation before this point found nobody to resume.
                    guard state.count == 0, !state.isFinished, !Task.isCancelled else { return (false, nil) }
                    let former = state.waiter.take()
                    state.waiter = continuation
                    return (true, former)
                }
                former?.resume(returning: false)
                if !waits { continuation.resume(returning: true) }
            }
        } onCancel: {
            state.withLock { $0.waiter.take() }?.resume(returning: true)
        }
    }
}
