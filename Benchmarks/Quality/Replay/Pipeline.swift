import Audio
import Wire

/// A pipeline that takes every frame the moment it is there.
struct Pipeline {
    let queue: PCMInputQueue
    var now = MonotonicTime.zero
    private(set) var pcm: [UInt8] = []
    private(set) var records: [UInt8] = []
    private(set) var frames = 0
    private(set) var concealed = 0
    private(set) var silent = 0

    init(rate: Int) {
        queue = PCMInputQueue(frameSize: rate / 50)
    }

    mutating func drain(at time: MonotonicTime) async {
        // `next` would wait for a frame that nobody pushes.
        while queue.depth > .zero, let frame = await queue.next() {
            for sample in frame.samples { pcm.append(integer: sample) }
            records.append(integer: UInt64(time.nanoseconds))
            records.append((frame.concealed ? 1 : 0) | (frame.silent ? 2 : 0))
            frames += 1
            if frame.concealed { concealed += 1 }
            if frame.silent { silent += 1 }
        }
    }
}
