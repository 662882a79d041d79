import Audio
import PatchbayPlugin
import Synchronization

/// A pipeline's way to the playout queue.
final class PipelineOutput: AudioOutput {
    private let queue: PlayoutQueue
    private let speech: BotSpeech
    /// For frames at another rate than the queue's, all of one rate.
    private let resampling = Mutex<Resampling?>(nil)

    private struct Resampling: ~Copyable {
        var resampler: Resampler

        init(from rate: Int, to outputRate: Int) throws(AudioError) {
            resampler = try Resampler(from: rate, to: outputRate)
        }

        mutating func process(_ samples: [Int16]) throws(AudioError) -> [Int16] {
            let room = (samples.count * resampler.outputRate + resampler.inputRate - 1) / resampler.inputRate
            var output = [Int16](repeating: 0, count: room)
            var span = output.mutableSpan
            let count = try resampler.process(samples.span, into: &span)
            output.removeLast(room - count)
            return output
        }
    }

    init(queue: PlayoutQueue, speech: BotSpeech) {
        self.queue = queue
        self.speech = speech
    }

    func play(_ frame: PCMFrame) async throws {
        let samples = try frame.sampleRate == queue.rate ? frame.samples : resampled(frame)
        speech.begin(with: samples)
        try await queue.play(samples)
    }

    private func resampled(_ frame: PCMFrame) throws -> [Int16] {
        try resampling.withLock { resampling in
            if resampling?.resampler.inputRate != frame.sampleRate {
                do {
                    resampling = try Resampling(from: frame.sampleRate, to: queue.rate)
                } catch {
                    throw WrongSampleRate(found: frame.sampleRate)
                }
            }
            return try resampling?.process(frame.samples) ?? []
        }
    }

    func clear() -> Duration {
        queue.clear()
    }

    func clear(since start: Duration) -> Duration {
        max(.zero, queue.clearAtPosition() - start)
    }

    var position: Duration { queue.position }

    func mark() -> PlaybackMark {
        let mark = queue.mark()
        return PlaybackMark {
            switch await mark.outcome {
            case .played: .played
            case .cleared: .cleared
            }
        }
    }

    var isPlaying: Bool { queue.isPlaying }
}

/// Tells when the caller begins to hear the bot, and when no more: by what was sent, not by what was queued.
final class BotSpeech: Sendable {
    /// A bot that has nothing to say for so long has stopped.
    private static let pause = Duration.milliseconds(300)

    private let queue: PlayoutQueue
    private let starts: AsyncStream<PlayoutMark>
    private let start: AsyncStream<PlayoutMark>.Continuation
    private let isIdle = Mutex(true)

    init(queue: PlayoutQueue) {
        self.queue = queue
        (starts, start) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
    }

    /// To be called before samples are queued.
    fileprivate func begin(with samples: [Int16]) {
        guard isIdle.withLock(\.self), PlayoutQueue.isSpeech(samples), begins() else { return }
        start.yield(queue.startMark(queued: false))
    }

    /// Tells `report` until the task is cancelled: true when the bot begins, false when it stops.
    func follow(_ report: (_ isSpeaking: Bool) -> Void) async {
        for await first in starts {
            var mark = first
            while !Task.isCancelled {
                if await mark.outcome == .played {
                    report(true)
                    await untilItStops()
                    report(false)
                }
                isIdle.withLock { $0 = true }
                // What was queued before the line above began no speech of its own.
                guard queue.isSpeaking, begins() else { break }
                mark = queue.startMark(queued: true)
            }
        }
    }

    /// Whether it falls to the one who asks to begin.
    private func begins() -> Bool {
        isIdle.withLock { isIdle in
            defer { isIdle = false }
            return isIdle
        }
    }

    private func untilItStops() async {
        while !Task.isCancelled {
            let spoken = queue.spoken
            guard case .played = await queue.mark().outcome else { return }
            guard (try? await Task.sleep(for: Self.pause)) != nil, queue.spoken != spoken || queue.isSpeaking else {
                return
            }
        }
    }
}

/// Guesses from their loudness when the caller's frames are speech, for pipelines that do not say.
struct CallerSpeech: Sendable {
    /// Less is a click or a breath.
    private static let shortest = Duration.milliseconds(100)
    /// More ends what was said.
    private static let longestPause = Duration.milliseconds(500)

    private var voiced = Duration.zero
    private var quiet = Duration.zero
    private(set) var isSpeaking = false

    /// nil while nothing changes.
    mutating func hear(_ frame: PCMFrame) -> CallEvent? {
        if frame.silent {
            quiet += frame.duration
            guard quiet >= Self.longestPause else { return nil }
            voiced = .zero
            guard isSpeaking else { return nil }
            isSpeaking = false
            return .userStoppedSpeaking
        }
        quiet = .zero
        voiced += frame.duration
        guard !isSpeaking, voiced >= Self.shortest else { return nil }
        isSpeaking = true
        return .userStartedSpeaking
    }
}
