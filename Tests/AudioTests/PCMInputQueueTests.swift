import Audio
import Testing

@Suite("Queue of frames to a pipeline")
struct PCMInputQueueTests {
    private func push(_ queue: PCMInputQueue, _ number: Int) {
        let samples = [Int16](repeating: Int16(number), count: 4)
        queue.push(samples.span, timestamp: UInt64(number), concealed: number % 2 == 1, silent: false)
    }

    private func frame(_ number: Int) -> PCMInputQueue.Frame {
        PCMInputQueue.Frame(
            samples: [Int16](repeating: Int16(number), count: 4), timestamp: UInt64(number), concealed: number % 2 == 1)
    }

    @Test("Frames come out in order, and nil after the last once finished")
    func order() async {
        let queue = PCMInputQueue(frameSize: 4, capacity: 5)
        for round in 0..<7 {
            for number in 0..<3 { push(queue, round * 3 + number) }
            for number in 0..<3 { #expect(await queue.next() == frame(round * 3 + number)) }
        }
        push(queue, 50)
        queue.finish()
        push(queue, 51)
        #expect(await queue.next() == frame(50))
        #expect(await queue.next() == nil)
        #expect(queue.dropped == 0)
    }

    @Test("When it is full the oldest frames are dropped and counted")
    func overflow() async {
        let queue = PCMInputQueue(frameSize: 4, capacity: 5)
        for number in 0..<12 { push(queue, number) }
        #expect(queue.dropped == 7)
        for number in 7..<12 { #expect(await queue.next() == frame(number)) }
    }

    @Test("The clock goes on where another peer connection's begins anew")
    func clock() async {
        let queue = PCMInputQueue(frameSize: 4)
        let samples: [Int16] = [1, 2, 3, 4]
        for timestamp: UInt64 in [0, 960, 1920, 0, 960, 0, 960] {
            queue.push(samples.span, timestamp: timestamp, concealed: false, silent: false)
        }
        for frame: UInt64 in 0..<7 { #expect(await queue.next()?.timestamp == frame * 960) }
    }

    @Test("A push wakes the task that waits, from another thread, thousands of times")
    func waking() async {
        let queue = PCMInputQueue(frameSize: 4, capacity: 10_000)
        async let received: [UInt64] = {
            var timestamps: [UInt64] = []
            while let frame = await queue.next() { timestamps.append(frame.timestamp) }
            return timestamps
        }()
        await Task.detached {
            for number in 0..<5000 {
                push(queue, number)
                if number % 10 == 0 { await Task.yield() }
            }
            queue.finish()
        }.value
        #expect(await received == (0..<5000).map { UInt64($0) })
    }

    @Test("Cancelling ends the wait with nil, before it and during it")
    func cancellation() async {
        for _ in 0..<200 {
            let queue = PCMInputQueue(frameSize: 4)
            let task = Task { await queue.next() }
            if Bool.random() { await Task.yield() }
            task.cancel()
            #expect(await task.value == nil)
        }
    }

    @Test("Of two tasks that wait, the first gives way")
    func secondConsumer() async {
        let queue = PCMInputQueue(frameSize: 4)
        await withTaskGroup(of: PCMInputQueue.Frame?.self) { group in
            group.addTask { await queue.next() }
            group.addTask { await queue.next() }
            #expect(await group.next() == .some(nil))
            push(queue, 1)
            #expect(await group.next() == frame(1))
        }
    }

    @Test("It grows as far as its capacity, in the middle of a ring, and the order stays", arguments: [1, 4, 5, 7, 50])
    func growth(capacity: Int) async {
        for taken in 0..<4 {
            let queue = PCMInputQueue(frameSize: 4, capacity: capacity)
            for number in 0..<taken {
                push(queue, number)
                #expect(await queue.next() == frame(number))
            }
            for number in 0..<capacity + 3 { push(queue, 100 + number) }
            #expect(queue.dropped == 3)
            #expect(queue.depth == .milliseconds(20 * capacity))
            for number in 3..<capacity + 3 { #expect(await queue.next() == frame(100 + number)) }
            #expect(queue.depth == .zero)
        }
    }

    @Test("A frame pushed without samples is zeros, whatever was in its place before; they are one array for all")
    func zeros() async {
        let queue = PCMInputQueue(frameSize: 4, capacity: 1)
        push(queue, 1)
        for _ in 0..<2 { queue.push([Int16]().span, timestamp: 960, concealed: false, silent: true) }
        let first = await queue.next()
        #expect(first?.samples == [0, 0, 0, 0])
        queue.push([Int16]().span, timestamp: 1920, concealed: false, silent: true)
        let second = await queue.next()
        let isShared = unsafe first?.samples.withUnsafeBufferPointer { one in
            unsafe second?.samples.withUnsafeBufferPointer { other in unsafe one.baseAddress == other.baseAddress }
        }
        #expect(isShared == true)
    }
}
