import Audio
import Testing

@Suite("Queue of speech from a pipeline")
struct PlayoutQueueTests {
    private func pull(_ queue: PlayoutQueue, _ count: Int = 160) -> [Int16] {
        var scratch = [Int16](repeating: -1, count: count)
        var span = scratch.mutableSpan
        return queue.pull(into: &span, count: count) == .nothing ? [] : scratch
    }

    private func ramp(_ range: Range<Int>) -> [Int16] { range.map { Int16(truncatingIfNeeded: $0) } }

    @Test("Samples come out as they went in, whatever the pieces; only the end is filled with silence")
    func pieces() async throws {
        let queue = PlayoutQueue(rate: 8000)
        var start = 0
        var heard: [Int16] = []
        for size in [1, 159, 160, 161, 0, 1000, 7] + [Int](repeating: 1, count: 1500) + [160, 3, 200] {
            try await queue.play(ramp(start..<start + size))
            start += size
            if start % 11 == 0, start - heard.count >= 160 { heard += pull(queue) }
        }
        #expect(queue.isPlaying)
        while queue.isPlaying { heard += pull(queue) }
        #expect(heard == ramp(0..<start) + [Int16](repeating: 0, count: (160 - start % 160) % 160))
        #expect(pull(queue).isEmpty)
    }

    @Test("A player waits while 30 s are queued, and everything arrives")
    func backpressure() async throws {
        let queue = PlayoutQueue(rate: 8000)
        let isDone = Log()
        async let playing: Void = {
            try await queue.play(ramp(0..<8000 * 70))
            isDone.append(1)
        }()
        while !queue.isPlaying { await Task.yield() }
        #expect(isDone.entries.isEmpty)
        var heard: [Int16] = []
        while heard.count < 8000 * 70 {
            let frame = pull(queue)
            if frame.isEmpty { await Task.yield() }
            heard += frame
            #expect(heard.count > 8000 * 39 || isDone.entries.isEmpty)
        }
        try await playing
        #expect(heard == ramp(0..<8000 * 70))
    }

    @Test("Clearing drops the queue, its marks and the rest of a waiting play, and says how much was heard")
    func clearing() async throws {
        let queue = PlayoutQueue(rate: 8000)
        #expect(queue.clear() == .zero)
        try await queue.play(ramp(0..<160))
        #expect(pull(queue).count == 160)
        #expect(queue.clear() == .zero)  // that speech had ended

        let long = Task { try await queue.play(ramp(0..<8000 * 40)) }
        while !queue.isPlaying { await Task.yield() }
        for _ in 0..<7 { _ = pull(queue) }
        let mark = queue.mark()
        #expect(queue.clear() == .milliseconds(140))
        try await long.value
        #expect(await mark.outcome == .cleared)
        #expect(pull(queue).isEmpty && !queue.isPlaying)

        try await queue.play(ramp(0..<480))
        #expect(pull(queue) == ramp(0..<160))
        #expect(queue.clear() == .milliseconds(20))
    }

    @Test("Cancelling ends a waiting play and a waiting mark")
    func cancellation() async throws {
        let queue = PlayoutQueue(rate: 8000)
        let long = Task { try await queue.play(ramp(0..<8000 * 40)) }
        while !queue.isPlaying { await Task.yield() }
        let mark = queue.mark()
        let waiting = Task { await mark.outcome }
        for _ in 0..<10 { await Task.yield() }
        long.cancel()
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await long.value }
        #expect(await waiting.value == .cleared)
        #expect(queue.isPlaying)
    }

    @Test("Finishing ends everybody, and nothing is taken after it")
    func finishing() async throws {
        let queue = PlayoutQueue(rate: 8000)
        let long = Task { try await queue.play(ramp(0..<8000 * 40)) }
        while !queue.isPlaying { await Task.yield() }
        let mark = queue.mark()
        queue.finish()
        await #expect(throws: CancellationError.self) { try await long.value }
        #expect(await mark.outcome == .cleared)
        await #expect(throws: CancellationError.self) { try await queue.play([1]) }
        #expect(await queue.mark().outcome == .cleared)
        #expect(pull(queue).isEmpty)
    }

    @Test("Marks beyond the limit count as cleared")
    func tooManyMarks() async throws {
        let queue = PlayoutQueue(rate: 8000)
        try await queue.play([1])
        let marks = (0...PlayoutQueue.maximumMarks).map { _ in queue.mark() }
        #expect(await marks[PlayoutQueue.maximumMarks].outcome == .cleared)
        _ = pull(queue)
        _ = pull(queue)
        #expect(await marks[0].outcome == .played)
        #expect(await marks[PlayoutQueue.maximumMarks - 1].outcome == .played)
    }

    @Test(
        "Sound is what is louder than -60 dBFS, or has one sample above -44",
        arguments: [
            (0, 0, false), (32, 0, false), (-32, 0, false), (33, 0, true), (-33, 0, true), (0, 200, false),
            (0, -200, false), (0, 201, true), (0, -201, true), (0, .min, true), (.min, 0, true),
        ] as [(Int16, Int16, Bool)])
    func silence(all: Int16, one: Int16, isSound: Bool) async throws {
        let queue = PlayoutQueue(rate: 8000)
        var samples = [Int16](repeating: all, count: 160)
        if one != 0 { samples[100] = one }
        // Whole, and in pieces of which some are silent by themselves.
        try await queue.play(samples)
        try await queue.play(Array(samples[..<100]))
        try await queue.play(Array(samples[100...]))
        var pulled = [Int16](repeating: 7, count: 160)
        for _ in 0..<2 {
            var span = pulled.mutableSpan
            #expect(queue.pull(into: &span, count: 160) == (isSound ? .sound : .silence))
            if isSound { #expect(pulled == samples) }
        }
        var span = pulled.mutableSpan
        #expect(queue.pull(into: &span, count: 160) == .nothing)
    }
}
