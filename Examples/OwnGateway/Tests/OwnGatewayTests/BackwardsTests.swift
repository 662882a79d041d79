import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import OwnGateway

@Suite("Backwards")
struct BackwardsTests {
    @Test("what the caller said comes back backwards, after the pause")
    func answers() async throws {
        let said = PCMFrame.tone(300, frequency: 300) + PCMFrame.tone(200, frequency: 900) + PCMFrame.silence(600)
        let heard = try await Backwards.configured("{ pause: 200ms }").answer(said)
        #expect(heard.samples == said.samples.prefix(16 * 700).reversed())
        #expect(heard.first?.timestamp == .milliseconds(700))
    }

    @Test("no more comes back than the longest answer")
    func isBounded() async throws {
        let said = PCMFrame.tone(500, frequency: 300) + PCMFrame.tone(500, frequency: 900) + PCMFrame.silence(300)
        let heard = try await Backwards.configured("{ pause: 200ms, longest: 500ms }").answer(said)
        #expect(heard.samples == said.samples.prefix(16 * 500).reversed())
    }

    @Test("a caller who speaks up silences the answer")
    func isInterrupted() async throws {
        let said = PCMFrame.tone(1000) + PCMFrame.silence(700) + PCMFrame.tone(100)
        let heard = try await Backwards.configured("{ pause: 200ms }").answer(said)
        #expect(heard.duration < .milliseconds(600))
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(Backwards.self, yaml: "{ pause: 200ms }")
    }
}
