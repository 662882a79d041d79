import Foundation
import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("A folder of tenants")
struct TenantFolderTests {
    private let folder = "/tmp/patchbay tenants \(UUID().uuidString)"
    private let main = """
        version: 1
        auth: { door: { type: key } }
        pipelines: { echo: { type: echo } }
        tenants_dir: tenants.d

        """
    private let catalogue: PluginCatalogue = [
        .auth: [PluginDescription(type: "key", summary: "", settings: Empty.self)],
        .pipeline: [PluginDescription(type: "echo", summary: "", settings: Empty.self)],
        .store: [PluginDescription(type: "memory", summary: "", settings: Empty.self, isPredeclared: true)],
        .icePolicy: ["none", "private", "public", "all"].map {
            PluginDescription(type: $0, summary: "", settings: Empty.self, isPredeclared: true)
        },
    ]

    private struct Empty: PluginSettings {}

    private func load(_ main: String, _ files: [String: String]) throws -> GatewayConfiguration {
        let manager = FileManager.default
        try manager.createDirectory(atPath: folder + "/tenants.d", withIntermediateDirectories: true)
        defer { try? manager.removeItem(atPath: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: "\(folder)/tenants.d/\(name)")) }
        return try GatewayConfiguration.load(
            text: main, file: folder + "/config.yaml", environment: [:], catalogue: catalogue)
    }

    private func faults(_ main: String, _ files: [String: String]) throws -> [String] {
        let faults = #expect(throws: Faults.self) { try load(main, files) }
        return faults?.faults.map { fault in
            let text = fault.description.split(separator: "\n").first.map(String.init) ?? ""
            return text.replacing(folder + "/", with: "")
        } ?? []
    }

    private let tenant = "auth: [door]\npipeline: echo\n"

    @Test("has a tenant in each file, next to those of the first file; other files are nobody's")
    func files() throws {
        let files = [
            "acme.yaml": "match: { host: acme.example }\n" + tenant, "b.yaml": "match: { path: /b }\n" + tenant,
            ".hidden.yaml": "nonsense", "notes.txt": "nonsense", ".yaml": "nonsense",
        ]
        let own = main + "tenants: { rest: { match: any, auth: [door], pipeline: echo } }\n"
        #expect(try load(own, files).tenants.map(\.name) == ["acme", "b", "rest"])
        #expect(try load(main, files).tenants.map(\.name) == ["acme", "b"])
    }

    @Test("faults name the file, the line and the tenant, those of all files together")
    func places() throws {
        let files = [
            "a.yaml": "match: any\nauth: [dor]\npipeline: echo\n", "b.yaml": "match: any\npipeline: [\n",
            "c.yaml": "match: any\n" + tenant, "d d.yaml": "match: { host: d.example }\n" + tenant,
            "rest.yaml": "match: { host: r.example }\n" + tenant,
        ]
        let own = main + "tenants: { rest: { match: { path: /r }, auth: [door], pipeline: ecko } }\n"
        #expect(
            try faults(own, files) == [
                "config.yaml:5:65: error: tenants.rest.pipeline: there is no pipeline instance named 'ecko'",
                "tenants.d/a.yaml:2:8: error: tenants.a.auth[0]: there is no auth instance named 'dor'",
                "tenants.d/b.yaml:3:1: error: did not find expected node content while parsing a flow node",
                "tenants.d/c.yaml:1:8: error: tenants.c.match: the tenant 'a' has the same match: any",
                "tenants.d/d d.yaml:1:1: error: tenants.d d: 'd d' is no name",
                "tenants.d/rest.yaml:1:1: error: tenants.rest: there is a tenant 'rest' in config.yaml:5, too",
            ])
    }

    @Test(
        "a tenant that stands below the keys of the first file is told once to leave them out, and read all the same",
        arguments: [
            ("tenants:\n  b:\n    match: any\n    auth: [dor]\n    pipeline: echo\n", "`tenants:` and `b:`", "4:12"),
            ("tenants: { other: { match: any, auth: [dor], pipeline: echo } }", "`tenants:` and `other:`", "1:40"),
            ("version: 1\ntenants: { b: { match: any, auth: [dor], pipeline: echo } }", "`tenants:` and `b:`", "2:36"),
            ("b: { match: any, auth: [dor], pipeline: echo }", "`b:`", "1:25"),
            ("tenants: { b: { match: any, auth: [dor], pipeline: echo }, c: {} }", "`tenants:`", nil),
            ("tenants: b", "`tenants:`", nil), ("tenants:", "`tenants:`", nil),
        ] as [(String, String, String?)])
    func nested(text: String, levels: String, place: String?) throws {
        let error = #expect(throws: Faults.self) { try load(main, ["b.yaml": text]) }
        let nesting = try #require(error?.faults.first { $0.message.hasPrefix("a tenant's own file begins with") })
        #expect(nesting.message.hasSuffix("what would stand under tenants.b") && nesting.path == "tenants.b")
        let rest = place == nil ? "; each tenant has a file of its own" : ", and begin with what is below"
        #expect(nesting.help == "leave out \(levels)\(rest)")
        let others = error?.faults.filter { $0 != nesting } ?? []
        #expect(others.map(\.message) == (place == nil ? [] : ["there is no auth instance named 'dor'"]))
        #expect(others.map { "\($0.line):\($0.column)" } == [place].compactMap(\.self))
    }

    @Test("a tenant's file may begin with a setting that is called as the tenant")
    func calledAsASetting() throws {
        let files = ["match.yaml": "match: { path: /m }\n" + tenant, "c.yaml": "match: any\n" + tenant]
        #expect(try load(main, files).tenants.map(\.name) == ["c", "match"])
        // Without a pipeline and auth.
        #expect(try faults(main, ["match.yaml": "match: { path: /m }"]).count == 2)
    }

    @Test("a tenant's file that declares instances is told where they are declared, and nothing else")
    func declared() throws {
        let text = "match: any\nauth: { own: { type: key } }\npipeline: echo\nevents: { own: all }\n"
        let error = #expect(throws: Faults.self) { try load(main, ["b.yaml": text]) }
        #expect(error?.faults.map(\.message) == ["expected a list, found keys and values"])
        let place = "under `auth` in \(folder)/config.yaml"
        #expect(error?.faults.first?.help == "instances are declared \(place); name them here: [own]")
    }

    @Test("a tenant whose file is broken is there all the same for whoever names it")
    func broken() throws {
        let tests = """
            tests:
              - name: a
                candidate: { tenant: b, direction: inbound, candidate: "candidate:1 1 udp 1 192.0.2.1 1 typ host" }
                expect: { kept: true }

            """
        #expect(
            try faults(main + tests, ["a.yaml": "match: any\n" + tenant, "b.yaml": "match: [\n"]) == [
                "tenants.d/b.yaml:2:1: error: did not find expected node content while parsing a flow node"
            ])
    }

    @Test("a name that ends nearly right is a fault, for nobody would miss the tenant", arguments: ["yml", "YAML"])
    func nearly(ending: String) throws {
        let files = ["acme.\(ending)": "match: any\n" + tenant, "b.yaml": "match: any\n" + tenant]
        #expect(
            try faults(main, files) == [
                "config.yaml:4:14: error: tenants_dir: 'acme.\(ending)' in it is no tenant"
            ])
    }

    @Test("a pipe in it is a fault, and nobody waits for what comes out of it")
    func pipe() throws {
        let manager = FileManager.default
        try manager.createDirectory(atPath: folder + "/tenants.d", withIntermediateDirectories: true)
        #expect(unsafe mkfifo(folder + "/tenants.d/acme.yaml", 0o600) == 0)
        let faults = try faults(main, ["b.yaml": "match: any\n" + tenant])
        #expect(faults.count == 1 && faults.first?.hasSuffix("it is not a regular file") == true)
    }

    @Test("that is not there, and one without a tenant, are faults")
    func missing() throws {
        let other = try faults(main.replacing("tenants.d", with: "elsewhere"), [:])
        #expect(other.first?.hasPrefix("config.yaml:4:14: error: tenants_dir: cannot read the folder") == true)
        #expect(other.first?.hasSuffix("No such file or directory") == true)
        #expect(try faults(main, [:]) == ["config.yaml:4:14: error: tenants: there is no tenant"])
        #expect(
            try faults(main.replacing("tenants_dir: tenants.d", with: ""), [:]).contains {
                $0.contains("missing key 'tenants' (Who is served what)")
            })
    }
}
