import EchoPipeline
import Foundation
import ParrotPipeline
import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Echo")
struct EchoTests {
    @Test("sends back every frame as it came")
    func echo() async throws {
        let said = PCMFrame.tone(100, sampleRate: 48_000) + PCMFrame.silence(40, sampleRate: 48_000)
        let heard = try await EchoPipeline.watched().answer(said)
        #expect(heard.map(\.samples) == said.map(\.samples))
    }
}

@Suite("Parrot")
struct ParrotTests {
    @Test("repeats the caller after the pause")
    func repeats() async throws {
        let answer = try await ParrotPipeline.watched("{ pause: 200ms }")
            .answer(PCMFrame.tone(300) + PCMFrame.silence(300))
        #expect(answer.samples == PCMFrame.tone(300).samples)
        #expect(answer.first?.timestamp == .milliseconds(500))
    }

    @Test("says nothing while the pause is shorter than the setting")
    func waits() async throws {
        let answer = try await ParrotPipeline.watched("{ pause: 200ms }")
            .answer(PCMFrame.tone(300) + PCMFrame.silence(180))
        #expect(answer.isEmpty)
    }

    @Test("keeps the short pauses between words")
    func pausesBetweenWords() async throws {
        let said = PCMFrame.tone(200) + PCMFrame.silence(100) + PCMFrame.tone(200)
        let answer = try await ParrotPipeline.watched("{ pause: 200ms }").answer(said + PCMFrame.silence(200))
        #expect(answer.samples == said.samples)
    }

    @Test("repeats two phrases, each after its own pause")
    func twice() async throws {
        let first = PCMFrame.tone(200, frequency: 300)
        let second = PCMFrame.tone(200, frequency: 900)
        let answer = try await ParrotPipeline.watched("{ pause: 200ms }")
            .answer(first + PCMFrame.silence(600) + second + PCMFrame.silence(600))
        #expect(answer.samples == first.samples + second.samples)
        #expect(answer.map(\.timestamp).first == .milliseconds(400))
        #expect(answer.last.map { $0.timestamp + $0.duration } == .milliseconds(1_400))
    }

    @Test("stops when the caller interrupts")
    func interruption() async throws {
        let interruption = PCMFrame.tone(200, frequency: 900)
        let answer = try await ParrotPipeline.watched("{ pause: 200ms }")
            .answer(PCMFrame.tone(1_000) + PCMFrame.silence(400) + interruption + PCMFrame.silence(200))
        // It starts after 1200 ms, the caller speaks up at 1400 ms and counts as speaking 100 ms later.
        #expect(answer.samples.count == (300 + 200) * 16)
        #expect(Array(answer.samples.prefix(300 * 16)) == Array(PCMFrame.tone(300).samples))
        #expect(Array(answer.samples.suffix(200 * 16)) == interruption.samples)
    }

    @Test("takes a click neither for speech nor for an interruption")
    func click() async throws {
        let click = PCMFrame.tone(60)
        let answer = try await ParrotPipeline.watched("{ pause: 200ms }").answer(
            click + PCMFrame.silence(300) + PCMFrame.tone(500) + PCMFrame.silence(300) + click + PCMFrame.silence(300))
        #expect(answer.samples == PCMFrame.tone(500).samples)
    }

    @Test("repeats no more than the longest answer")
    func longest() async throws {
        let answer = try await ParrotPipeline.watched("{ pause: 200ms, longest: 1s }")
            .answer(PCMFrame.tone(3_000) + PCMFrame.silence(300))
        #expect(answer.duration == .seconds(1))
    }

    @Test("reports a misspelled key where it stands")
    func misspelled() throws {
        let error = #expect(throws: (any Error).self) { try ParrotPipeline.watched("pause: 200ms\nlogest: 5s\n") }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains("2:1") && text.contains("did you mean 'longest'?"), "\(text)")
    }
}
