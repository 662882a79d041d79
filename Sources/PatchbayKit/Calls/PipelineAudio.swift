import Audio
import PatchbayPlugin
import Synchronization

/// The two directions of a call's sound as its pipeline has them. Who speaks is told to the call's events.
final class PipelineAudio: Sendable {
    private struct Caller {
        var speech = CallerSpeech()
        /// When something was last heard of what the bot has not answered yet.
        var unanswered: ContinuousClock.Instant?
    }

    private let input: PCMInputQueue
    private let output: PipelineOutput
    private let botSpeech: BotSpeech
    private let inputRate: Int
    private let events: EventBus
    private let caller = Mutex(Caller())

    init(input: PCMInputQueue, output: PlayoutQueue, inputRate: Int, events: EventBus) {
        self.input = input
        self.inputRate = inputRate
        self.events = events
        botSpeech = BotSpeech(queue: output)
        self.output = PipelineOutput(queue: output, speech: botSpeech)
    }

    /// What the pipeline is handed.
    var audio: CallAudio {
        CallAudio(input: AudioInput { await self.nextFrame() }, output: output)
    }

    private func nextFrame() async -> PCMFrame? {
        guard let frame = await input.next() else { return nil }
        let heard = PCMFrame(
            frame.samples, sampleRate: inputRate, timestamp: .nanoseconds(Int64(frame.timestamp) * 62_500 / 3),
            concealed: frame.concealed, silent: frame.silent, audioLevel: frame.level.map(AudioLevel.init(byte:)))
        let event = caller.withLock { caller in
            let event = caller.speech.hear(heard)
            if !heard.silent, caller.speech.isSpeaking { caller.unanswered = .now }
            return event
        }
        if let event { events.guess(event) }
        return heard
    }

    /// Tells when the caller hears the bot, until the task is cancelled.
    func follow() async {
        await botSpeech.follow { isSpeaking in
            guard isSpeaking else { return events.tell(.botStoppedSpeaking) }
            events.tell(.botStartedSpeaking)
            let unanswered = caller.withLock { caller in
                defer { caller.unanswered = nil }
                return caller.unanswered
            }
            if let unanswered { events.tell(.latency(unanswered.duration(to: .now))) }
        }
    }
}
