import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import MyPlugin

@Suite("MyPlugin")
struct MyPluginTests {
    @Test("what the caller said comes back after the pause")
    func answers() async throws {
        let plugin = try MyPlugin.configured("{ pause: 200ms }")
        let said = PCMFrame.tone(300)
        let heard = try await plugin.answer(said + PCMFrame.silence(600))
        #expect(heard.samples == said.samples)
        #expect(heard.first?.timestamp == .milliseconds(500))
    }

    @Test("a caller who speaks up silences the answer")
    func isInterrupted() async throws {
        let plugin = try MyPlugin.configured("{ pause: 200ms }")
        let heard = try await plugin.answer(PCMFrame.tone(1000) + PCMFrame.silence(300) + PCMFrame.tone(100))
        #expect(heard.duration < .milliseconds(200))
    }

    @Test("no more is said back than the longest answer")
    func isBounded() async throws {
        let plugin = try MyPlugin.configured("{ pause: 200ms, longest: 500ms }")
        let heard = try await plugin.answer(PCMFrame.tone(1000) + PCMFrame.silence(300))
        #expect(heard.duration == .milliseconds(500))
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(MyPlugin.self)
    }
}
