import PatchbayPlugin
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("Variables of a call, as its pipeline has them", .timeLimit(.minutes(2)))
struct CallVariablesTests {
    /// What the pipeline of a call has whose client sends these.
    private func variables(
        of principal: Principal, sending variables: JSONValue
    ) async throws -> [String: JSONValue] {
        let world = World()
        let socket = await TestSocket(world, principal)
        let offer: JSONValue = [
            "type": "offer",
            "payload": ["pc_id": "PC-a", "sdp": "v=0", "type": "offer", "call_context_vars": variables],
        ]
        #expect(await socket.send(offer.description) == Sent.answer("PC-a", to: "v=0"))
        #expect(await eventually { world.pipelines.calls.withLock { $0[principal.id] } != nil })
        let call = try #require(world.pipelines.calls.withLock { $0[principal.id] })
        await socket.close()
        return call.contextVariables
    }

    @Test("what the credential says wins over what the client sends, and some names are not the client's at all")
    func credentialWins() async throws {
        var principal = Principal.user("7")
        principal.contextVariables = ["name": "Ada", "plan": "basic"]
        let sent: JSONValue = ["plan": "gold", "page": "checkout", "mps_correlation_id": "made-up"]
        #expect(
            try await variables(of: principal, sending: sent) == ["name": "Ada", "plan": "basic", "page": "checkout"])
    }

    @Test("a caller who may not add any adds none")
    func mayNotAdd() async throws {
        var principal = Principal.user("7")
        (principal.contextVariables, principal.mayAddContext) = (["name": "Ada"], false)
        #expect(try await variables(of: principal, sending: ["page": "checkout"]) == ["name": "Ada"])
    }
}
