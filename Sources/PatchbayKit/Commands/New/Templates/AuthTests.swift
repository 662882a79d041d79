import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import MyPlugin

@Suite("MyPlugin")
struct MyPluginTests {
    static let yaml = "{ passphrase: { env: PASSPHRASE }, user: ada }"
    static let environment = ["PASSPHRASE": "open sesame"]

    @Test(
        "who knows the passphrase is let in; who comes without one is for the next plugin to judge",
        arguments: [("open sesame", "ada"), ("open sesamf", "wrong_passphrase"), (nil, nil)] as [(String?, String?)])
    func knowsThePassphrase(key: String?, answer: String?) async throws {
        let plugin = try MyPlugin.configured(Self.yaml, environment: Self.environment)
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
        request.apiKey = key
        switch try await plugin.authenticate(request) {
        case .accept(let principal): #expect(principal.id == answer)
        case .reject(let denial): #expect(denial.code == answer)
        case .pass: #expect(answer == nil)
        }
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(
            MyPlugin.self, yaml: Self.yaml, environment: Self.environment)
    }
}
