import PatchbayPlugin
import TestSupport
import Testing

@testable import WebSocketPipeline

@Suite("Variables of a call, as a bot is told of them")
struct CallVariablesTests {
    /// The client and the quotas both speak of a plan.
    private let facts = CallFacts(
        Call(
            id: "0a1b2c3d-4e5f-6789-abcd-ef0123456789", tenant: "acme", principal: Principal(id: "7"), workflowID: 33,
            workflowRunID: 501, contextVariables: ["name": "Ada", "plan": "gold"],
            leaseMetadata: ["plan": "basic", "seat": "9"], logger: .watched,
            host: Call.Host(report: { _ in }, events: { AsyncStream { $0.finish() } }, send: { _ in }, hangUp: { _ in })
        ))

    @Test("what the quotas say wins over what client and credential say")
    func quotasWin() {
        #expect(facts.variables == ["name": "Ada", "plan": "basic", "seat": "9"])
    }

    @Test("in every dialect")
    func dialects() {
        var pcm = PCMDialect(facts, audio: AudioFormat(inputRate: 16_000, outputRate: 24_000))
        #expect(pcm.opened().sent.first?["metadata"]?["plan"] == "basic")
        var twilio = TwilioDialect(facts, format: WebSocketPipeline.TwilioEncoding.muLaw8k.format, accountID: "AC1")
        #expect(twilio.opened().sent.last?["start"]?["customParameters"]?["plan"] == "basic")
        var pipecat = PipecatDialect(facts, greets: true)
        #expect(pipecat.opened().sent.last?["data"]?["d"]?["variables"]?["plan"] == "basic")
        var openAI = OpenAIRealtimeDialect(
            facts, session: ["instructions": "{{name}} has {{plan}}, seat {{seat}}"], speaksFirst: false)
        #expect(openAI.opened().sent.first?["session"]?["instructions"] == "Ada has basic, seat 9")
    }
}
