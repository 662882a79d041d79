import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("A tenant's runs")
struct RunTests {
    private func text(stores: String = "", tenant: String = "") -> String {
        """
        version: 1
        stores: { \(stores) }
        pipelines: { e: { type: echo } }
        tenants:
          t: { match: any, allow_anonymous: true, pipeline: e, \(tenant) }
        """
    }

    private static let a = "a: { type: sqlite, path: a.db }"
    private static let b = "b: { type: sqlite, path: b.db }"

    @Test(
        "are in the store that it names, else the only one, else in memory",
        arguments: [
            ("", "", "memory", ["memory"]),
            ("", "store: memory", "memory", ["memory"]),
            (a, "", "a", ["a"]),
            (a, "store: a", "a", ["a"]),
            (a, "store: memory", "memory", ["a", "memory"]),
            ("\(a), \(b)", "store: b", "b", ["a", "b"]),
            ("own: { type: memory }", "", "own", ["own"]),
        ])
    func store(stores: String, tenant: String, name: String, instances: [String]) throws {
        let configuration = try load(text(stores: stores, tenant: tenant))
        #expect(configuration.tenants.map(\.store) == [name])
        #expect(configuration.instances[.store]?.keys.sorted() == instances)
        #expect(configuration.tenants.map(\.runs) == [.open])
    }

    @Test("may be any, or only registered ones", arguments: [RunsMode.open, .registered])
    func mode(mode: RunsMode) throws {
        #expect(try load(text(tenant: "runs: \(mode.rawValue)")).tenants.map(\.runs) == [mode])
    }

    @Test(
        "with nowhere to go, or in too many places, are a fault that says what to write",
        arguments: [
            (
                "\(b), \(a)", "", "there are several stores",
                "say which one has this tenant's runs: `store: NAME`; stores has: a, b"
            ),
            (a, "store: A", "there is no store instance named 'A'", "did you mean 'a'? stores has: a, memory"),
            (a, "store: [a]", "expected a name, found a list", ""),
            ("\(a), \(b)", "store:", "expected a name, found nothing", ""),
            (a, "runs: register", "expected one of open, registered, found 'register'", "did you mean 'registered'?"),
        ])
    func faults(stores: String, tenant: String, message: String, help: String) {
        let error = #expect(throws: Faults.self) { try load(text(stores: stores, tenant: tenant)) }
        #expect(error?.faults.map(\.message) == [message])
        #expect(error?.faults.first?.help ?? "" == help)
    }

    @Test(
        "need a store plugin in the build",
        arguments: [
            ([], "this build has no store plugin"),
            (["sqlite"], "declare one: `stores: { NAME: { type: TYPE } }`; built in: sqlite"),
        ])
    func noMemory(types: [String], help: String) {
        var bare = catalogue
        bare[.store]?.removeAll { !types.contains($0.type) }
        let error = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(text: text(), environment: [:], catalogue: bare)
        }
        #expect(error?.faults.map(\.message) == ["there is no store for this tenant's runs"])
        #expect(error?.faults.map(\.path) == ["tenants.t"])
        #expect(error?.faults.first?.help == help)
    }
}
