import APIKeyAuth
import ConcurrencyQuota
import EchoPipeline
import EmbedTokenAuth
import Foundation
import HTTPAuth
import ICEPolicies
import JWTAuth
import ParrotPipeline
import PatchbayPlugin
import PatchbayTesting
import SQLiteStore
import TestSupport
import Testing

@Suite("Every plugin of ours")
struct ConformanceTests {
    @Test("does what every plugin must")
    func ours() async throws {
        try await PluginConformance.check(EchoPipeline.self, logger: .watched)
        try await PluginConformance.check(ParrotPipeline.self, logger: .watched)
        try await PluginConformance.check(
            JWTAuth.self, yaml: "secret: { env: SECRET }",
            environment: ["SECRET": Leaks.secret("an HMAC secret", "2b7e151628aed2a6abf7158809cf4f3c")],
            logger: .watched)
        try await PluginConformance.check(
            JWTAuth.self,
            yaml: "keys: [{ algorithm: ES256, file: \"\(JWTVectors.folder.path(percentEncoded: false))/p-256.pem\" }]",
            logger: .watched)
        try await PluginConformance.check(
            APIKeyAuth.self, yaml: "store: memory", stores: ["memory": MemoryStore.watched()], logger: .watched)
        let endpoint = try await LoopbackServer { _ in .responds(401) }
        try await PluginConformance.check(
            HTTPAuth.self, yaml: "{ url: \"\(endpoint.url)\", timeout: 10s }", logger: .watched)
        try await endpoint.stop()
        try await PluginConformance.check(
            EmbedTokenAuth.self, yaml: "{ store: memory, tokens: [{ token: emb_demo, workflow: 1 }] }",
            stores: ["memory": MemoryStore.watched()], logger: .watched)
        try await PluginConformance.check(ConcurrencyQuota.self, yaml: "limit: 1", logger: .watched)
        try await PluginConformance.check(PrivateICEPolicy.self, logger: .watched)
        try await PluginConformance.check(MemoryStore.self, logger: .watched)
        let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await PluginConformance.check(SQLiteStore.self, yaml: "path: \(folder.path())/store.db", logger: .watched)
    }

    @Test("one that does not is found out")
    func faults() async {
        await #expect(throws: ConformanceFault.self) { try await PluginConformance.check(Deaf.self) }
        await #expect(throws: ConformanceFault.self) { try await PluginConformance.check(Gullible.self) }
        await #expect(throws: ConformanceFault.self) { try await PluginConformance.check(Fickle.self) }
    }

    @Test("a misspelled setting that is accepted is found, however deep it stands")
    func lenience() async {
        let fault = await #expect(throws: ConformanceFault.self) { try await PluginConformance.check(Lenient.self) }
        #expect(fault?.description == "a setting 'widthx' is accepted")
    }
}

/// Goes on when it is cancelled.
private struct Deaf: PipelinePlugin {
    static let type = "deaf"
    static let summary = "Goes on when it is cancelled."
    struct Settings: PluginSettings {}

    init(settings: Settings, context: PluginContext) {}

    func run(_ call: Call, audio: CallAudio) async throws {
        try? await Task.sleep(for: .seconds(3600))
        await Task.detached { try? await Task.sleep(for: .milliseconds(1300)) }.value
    }
}

/// Lets everybody in.
private struct Gullible: AuthPlugin {
    static let type = "gullible"
    static let summary = "Lets everybody in."
    struct Settings: PluginSettings {}

    init(settings: Settings, context: PluginContext) {}

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .accept(Principal(id: "7")) }
}

/// Takes whatever stands there for a shelf.
private struct Lenient: ICEPolicyPlugin {
    static let type = "lenient"
    static let summary = "Takes whatever stands there for a shelf."
    struct Settings: PluginSettings {
        @Field("Shelves of each room") var rooms: [String: [Shelf]] = [:]
    }
    struct Shelf: PluginSettings {
        @Field("In metres") var width: Int = 1

        static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Shelf? { Shelf() }
    }

    init(settings: Settings, context: PluginContext) {}

    func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool { true }
}

/// Has a name that is none.
private struct Fickle: ICEPolicyPlugin {
    static let type = "Fickle-Policy"
    static let summary = "Has a name that is none."
    struct Settings: PluginSettings {}

    init(settings: Settings, context: PluginContext) {}

    func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool { true }
}
