import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import OwnGateway

@Suite("GuestList")
struct GuestListTests {
    static let yaml = "guests: { ada: { env: ADA }, grace: { env: GRACE } }"
    static let environment = ["ADA": "open sesame", "GRACE": "swordfish"]

    @Test(
        "a guest is known by the passphrase; a caller without one is for the next plugin to judge",
        arguments: [("swordfish", "grace"), ("swordfisj", "unknown_guest"), (nil, nil)] as [(String?, String?)])
    func knowsItsGuests(key: String?, answer: String?) async throws {
        let list = try GuestList.configured(Self.yaml, environment: Self.environment)
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
        request.apiKey = key
        switch try await list.authenticate(request) {
        case .accept(let principal): #expect(principal.id == answer)
        case .reject(let denial): #expect(denial.code == answer)
        case .pass: #expect(answer == nil)
        }
    }

    @Test("two guests cannot have one passphrase")
    func tellsGuestsApart() {
        #expect(throws: SettingsFault.self) {
            try GuestList.configured(Self.yaml, environment: ["ADA": "swordfish", "GRACE": "swordfish"])
        }
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(GuestList.self, yaml: Self.yaml, environment: Self.environment)
    }
}
