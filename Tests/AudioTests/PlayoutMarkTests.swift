import Audio
import Foundation
import Testing

@Suite("What a playout queue says of its progress")
struct PlayoutMarkTests {
    @discardableResult
    private func pull(_ queue: PlayoutQueue, _ count: Int = 160) -> PlayoutQueue.Pulled {
        var scratch = [Int16](repeating: -1, count: count)
        var span = scratch.mutableSpan
        return queue.pull(into: &span, count: count)
    }

    private func samples(_ count: Int, _ value: Int16 = 1000) -> [Int16] { [Int16](repeating: value, count: count) }

    /// After how many pulls each mark is played.
    private func pulls(_ queue: PlayoutQueue, until marks: [PlayoutMark]) async -> [Int] {
        let pulled = Counter()
        let waits = marks.map { mark in
            Task { await mark.outcome == .played ? pulled.value : -1 }
        }
        for _ in 0..<10 {
            // Everybody has had the time to see what the pull before did.
            try? await Task.sleep(for: .milliseconds(10))
            pulled.add()
            pull(queue)
        }
        queue.clear()
        var counts: [Int] = []
        for wait in waits { counts.append(await wait.value) }
        return counts
    }

    @Test(
        "A mark is played when the frame before it has had its time, which is at the next pull",
        arguments: [(0, 0), (1, 2), (159, 2), (160, 2), (161, 3), (320, 3), (481, 5)])
    func marks(count: Int, expected: Int) async throws {
        let queue = PlayoutQueue(rate: 8000)
        try await queue.play(samples(count))
        let mark = queue.mark()
        #expect(await pulls(queue, until: [mark]) == [expected])
    }

    @Test("Marks within one frame are played together, in their order")
    func several() async throws {
        let queue = PlayoutQueue(rate: 8000)
        var marks: [PlayoutMark] = []
        for _ in 0..<4 {
            try await queue.play(samples(80))
            marks.append(queue.mark())
        }
        #expect(await pulls(queue, until: marks) == [2, 2, 3, 3])
    }

    @Test(
        "A start mark is played with the first sample behind it, or the first that waits",
        arguments: [(0, false, 1), (1, false, 1), (159, false, 1), (160, false, 2), (480, false, 4), (480, true, 1)])
    func starts(before: Int, queued: Bool, expected: Int) async throws {
        let queue = PlayoutQueue(rate: 8000)
        try await queue.play(samples(before))
        let former = queue.startMark(queued: queued)
        let mark = queue.startMark(queued: queued)
        #expect(await former.outcome == .cleared)
        try await queue.play(samples(160))
        #expect(await pulls(queue, until: [mark]) == [expected])
        // Nothing was there to begin, and what comes after a clearing is another speech.
        let late = queue.startMark(queued: queued)
        queue.clear()
        #expect(await late.outcome == .cleared)
        queue.finish()
        #expect(await queue.startMark(queued: queued).outcome == .cleared)
    }

    @Test("A mark on an empty queue whose last frame is still playing waits for it")
    func lastFrame() async throws {
        let queue = PlayoutQueue(rate: 8000)
        #expect(await queue.mark().outcome == .played)
        try await queue.play(samples(160))
        #expect(pull(queue) == .sound)
        #expect(!queue.isPlaying)
        let mark = queue.mark()
        #expect(await pulls(queue, until: [mark]) == [1])
        #expect(await queue.mark().outcome == .played)
        await queue.drained()
    }

    @Test(
        "Clearing settles the marks, also that of the frame that is playing, and says how much was heard",
        arguments: [(1, 0, 0), (480, 0, 0), (480, 1, 20), (480, 2, 40), (480, 3, 0), (480, 4, 0)])
    func clear(count: Int, pulls: Int, heard: Int) async throws {
        let queue = PlayoutQueue(rate: 8000)
        try await queue.play(samples(count))
        for _ in 0..<pulls { pull(queue) }
        let mark = queue.mark()
        #expect(queue.clear() == .milliseconds(heard))
        #expect(await mark.outcome == (pulls == 4 ? .played : .cleared))
        // Nothing is left, and nothing plays any more.
        #expect(await queue.mark().outcome == .played)
        #expect(queue.clear() == .zero)
        #expect(!queue.isPlaying && !queue.isSpeaking && queue.queuedSamples == 0)
    }

    @Test("Figures: depth, how often it was cleared, how many marks were set")
    func figures() async throws {
        let queue = PlayoutQueue(rate: 8000)
        #expect(queue.figures == (.zero, 0, 0))
        try await queue.play(samples(8000))
        _ = queue.mark()
        _ = queue.mark()
        #expect(queue.figures == (.seconds(1), 0, 2))
        pull(queue)
        #expect(queue.figures == (.milliseconds(980), 0, 2))
        queue.clear()
        #expect(queue.figures == (.zero, 1, 2))
        queue.clear()
        #expect(queue.figures == (.zero, 2, 2))
        queue.finish()
        #expect(queue.figures == (.zero, 2, 2))
    }

    @Test(
        "What is spoken is what is louder than silence",
        arguments: [(0, false), (200, false), (-200, false), (201, true), (-201, true), (.min, true)])
    func spoken(sample: Int16, isSpeech: Bool) async throws {
        let queue = PlayoutQueue(rate: 8000)
        try await queue.play(samples(160, sample))
        #expect(queue.isSpeaking == isSpeech)
        #expect(queue.spoken == (isSpeech ? 160 : 0))
        #expect(queue.enqueuedSamples == 160)
        pull(queue)
        #expect(!queue.isSpeaking)
    }

    @Test("Who pulls is woken when something is played after a pull that found nothing, and only then")
    func waking() async throws {
        let queue = PlayoutQueue(rate: 8000)
        let wakes = Counter()
        func isWoken() -> Bool { wakes.take() == 1 }
        queue.onPlay { wakes.add() }
        try await queue.play([])
        #expect(!isWoken(), "nothing was played")
        try await queue.play(samples(160))
        #expect(isWoken(), "the first of all")
        try await queue.play(samples(160))
        #expect(!isWoken(), "it has been told")
        for _ in 0..<2 { pull(queue) }
        try await queue.play(samples(160))
        #expect(!isWoken(), "nobody has seen the queue empty")
        for _ in 0..<2 { pull(queue) }
        try await queue.play(samples(160))
        #expect(isWoken(), "now somebody has")
        queue.clear()
        pull(queue)
        try await queue.play(samples(80))
        #expect(isWoken())
        #expect(pull(queue) == .sound)
        try await queue.play(samples(160))
        #expect(!isWoken(), "half a frame is not nothing")
        queue.clear()
        try await queue.play(samples(160))
        #expect(!isWoken(), "cleared, and nobody has seen it")
        queue.clear()
        pull(queue)
        try await queue.play(samples(160))
        #expect(isWoken())
        queue.clear()
        try await queue.play(samples(160))
        #expect(isWoken(), "told in vain: it may have looked when there was nothing")
    }

    @Test("No wake-up is lost between a thread that plays and one that pulls and rests, 1000 times")
    func race() async throws {
        let queue = PlayoutQueue(rate: 8000)
        let (wakes, pulled, end, ended) = (Counter(), Counter(), Counter(), Counter())
        queue.onPlay { wakes.add() }
        // A thread of its own, as the tests' own are few.
        Thread.detachNewThread {
            while end.value == 0 {
                while pull(queue) != .nothing { pulled.add() }
                // It rests until it is told.
                while wakes.take() == 0, end.value == 0 { sched_yield() }
            }
            ended.add()
        }
        let start = ContinuousClock.now
        for round in 1...1000 {
            for _ in 0..<Int.random(in: 0...100) { _ = queue.isPlaying }
            try await queue.play(samples(160))
            // The pull that takes it and the one that finds nothing race with the next play.
            while pulled.value < round, start.duration(to: .now) < .seconds(60) { sched_yield() }
        }
        #expect(pulled.value == 1000)
        end.add()
        while ended.value == 0 { sched_yield() }
    }
}
