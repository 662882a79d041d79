import Audio
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("What a pipeline plays", .timeLimit(.minutes(1)))
struct PipelineOutputTests {
    private let queue = PlayoutQueue(rate: 16_000)

    /// As the media loop does, 20 ms at a time.
    private func pull(_ frames: Int) {
        var samples = [Int16](repeating: 0, count: 320)
        for _ in 0..<frames {
            var span = samples.mutableSpan
            _ = queue.pull(into: &span, count: 320)
        }
    }

    @Test("is resampled where its rate is another, in as much time as it had", arguments: [8000, 24_000, 48_000])
    func rates(rate: Int) async throws {
        let output = PipelineOutput(queue: queue, speech: BotSpeech(queue: queue))
        for frame in PCMFrame.tone(500, sampleRate: rate) { try await output.play(frame) }
        #expect(output.position == .milliseconds(500))
        try await output.play(PCMFrame([Int16](repeating: 1, count: 1600), sampleRate: 16_000))
        #expect(output.position == .milliseconds(600))
        await #expect(throws: WrongSampleRate.self) { try await output.play(PCMFrame([1], sampleRate: 44_100)) }
    }

    @Test("counts what was heard from any place in it")
    func positions() async throws {
        let output = PipelineOutput(queue: queue, speech: BotSpeech(queue: queue))
        try await output.play(PCMFrame([Int16](repeating: 1, count: 1600), sampleRate: 16_000))
        let second = output.position
        try await output.play(PCMFrame([Int16](repeating: 1, count: 16_000), sampleRate: 16_000))
        pull(8)
        let mark = output.mark()
        #expect(output.clear(since: second) == .milliseconds(60))
        #expect(await mark.outcome == .cleared)
        #expect(output.position == .milliseconds(1100))
        #expect(output.clear(since: output.position) == .zero)
    }

    @Test("is told as the bot's speech from the first sound that was sent to the last, and once for what has no pauses")
    func speech() async throws {
        let speech = BotSpeech(queue: queue)
        let output = PipelineOutput(queue: queue, speech: speech)
        let told = Mutex<[Bool]>([])
        let following = Task { await speech.follow { isSpeaking in told.withLock { $0.append(isSpeaking) } } }
        try await output.play(PCMFrame([Int16](repeating: 0, count: 3200), sampleRate: 16_000))
        try await output.play(PCMFrame([Int16](repeating: 8000, count: 3200), sampleRate: 16_000))
        try await Task.sleep(for: .milliseconds(50))
        #expect(told.withLock(\.self) == [], "nothing was sent")
        pull(10)
        try await Task.sleep(for: .milliseconds(50))
        #expect(told.withLock(\.self) == [], "only silence was sent")
        pull(1)
        #expect(await eventually { told.withLock(\.self) == [true] })
        pull(20)
        // More comes within a pause of its own.
        try await Task.sleep(for: .milliseconds(100))
        try await output.play(PCMFrame([Int16](repeating: 8000, count: 3200), sampleRate: 16_000))
        pull(20)
        try await Task.sleep(for: .milliseconds(250))
        #expect(told.withLock(\.self) == [true])
        #expect(await eventually { told.withLock(\.self) == [true, false] })
        // And again, from the first of it on, until it is cleared.
        try await output.play(PCMFrame([Int16](repeating: 8000, count: 32_000), sampleRate: 16_000))
        try await Task.sleep(for: .milliseconds(50))
        #expect(told.withLock(\.self) == [true, false])
        pull(1)
        #expect(await eventually { told.withLock(\.self) == [true, false, true] })
        _ = output.clear()
        #expect(await eventually { told.withLock(\.self) == [true, false, true, false] })
        following.cancel()
        await following.value
    }

    @Test("a caller's speech is guessed by its loudness: neither a click nor a pause between words changes it")
    func caller() {
        var speech = CallerSpeech()
        func hear(_ frames: Int, silent: Bool) -> [CallEvent] {
            (0..<frames).compactMap { _ in
                speech.hear(PCMFrame([Int16](repeating: 0, count: 320), sampleRate: 16_000, silent: silent))
            }
        }
        #expect(hear(4, silent: false) + hear(50, silent: true) == [])
        #expect(hear(5, silent: false) == [.userStartedSpeaking])
        #expect(hear(24, silent: true) + hear(1, silent: false) + hear(24, silent: true) == [])
        #expect(hear(1, silent: true) == [.userStoppedSpeaking])
        #expect(hear(100, silent: true) == [])
    }
}
