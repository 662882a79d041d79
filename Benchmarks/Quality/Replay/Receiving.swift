import Audio
import Foundation
import WebRTC
import Wire

/// Packets to the frames that a pipeline gets, through the gateway's receiver, in the trace's own time.
///
/// Beside the PCM it writes one record a frame: `delivered u64 ns | flags u8` (1: made up for loss, 2: silent).
struct Receiving {
    private let input: String
    private let output: String
    private let frames: String
    private let rate: Int

    init(_ arguments: inout Arguments) throws {
        rate = try arguments.number("--rate", default: 16_000)
        input = try arguments.file()
        output = try arguments.file()
        frames = try arguments.file()
        try arguments.finish()
    }

    func run() async throws {
        let records = try TraceRecord.read(input).sorted { $0.arrival < $1.arrival }
        guard let first = records.first, let last = records.last else { return }
        var pipeline = Pipeline(rate: rate)
        let start = MonotonicTime(nanoseconds: Int64(first.arrival))
        let receiver = try AudioReceiver(rate: rate, queue: pipeline.queue, now: start)
        var late = 0
        var seen: Set<UInt32> = []
        for record in records {
            let arrival = MonotonicTime(nanoseconds: Int64(record.arrival))
            await Self.elapse(receiver, &pipeline, from: pipeline.now, to: arrival)
            let lateBefore = receiver.packetsLate
            receiver.receive(
                sequenceNumber: record.sequenceNumber, timestamp: record.timestamp, payload: record.payload.span,
                now: arrival)
            await pipeline.drain(at: arrival)
            // A copy of what was played is no loss.
            if seen.insert(record.timestamp).inserted, receiver.packetsLate > lateBefore { late += 1 }
        }
        let end = MonotonicTime(nanoseconds: Int64(last.arrival)) + .seconds(1)
        await Self.elapse(receiver, &pipeline, from: pipeline.now, to: end)
        try pipeline.pcm.write(to: output)
        try pipeline.records.write(to: frames)
        print(
            """
            {"packets": \(seen.count), "late": \(late), "surplus": \(receiver.packetsSurplus), \
            "malformed": \(receiver.packetsMalformed), "frames": \(pipeline.frames), \
            "concealed": \(pipeline.concealed), "recovered": \(receiver.framesRecovered), \
            "silent": \(pipeline.silent), "dropped": \(pipeline.queue.dropped)}
            """)
    }

    /// Does what falls due on the way, as the loop's timer would.
    private static func elapse(
        _ receiver: AudioReceiver, _ pipeline: inout Pipeline, from: MonotonicTime, to: MonotonicTime
    ) async {
        var now = from
        while receiver.deadline <= to {
            now = max(now, receiver.deadline)
            receiver.handleTimeout(now: now)
            await pipeline.drain(at: now)
            // A deadline that stays is looked at again at the next tick, not for ever.
            if receiver.deadline <= now { now = now + .milliseconds(1) }
            if now > to { break }
        }
        pipeline.now = to
    }
}
