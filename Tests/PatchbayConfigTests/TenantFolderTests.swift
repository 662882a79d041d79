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
                "tenants.d/rest.yaml:1:1: error: tenants.rest: there is a tenant 'rest' in the first file, too",
            ])
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
