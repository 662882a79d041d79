import Logging
import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("From configuration to tenants")
struct DeploymentTests {
    private func deployment(_ yaml: String) throws -> Deployment {
        let plugins: [PluginRegistration] =
            .builtin + [.auth(FailingAuth.self), .quota(CountingQuota.self), .pipeline(OddPipeline.self)]
        let configuration = try GatewayConfiguration.load(text: yaml, environment: [:], catalogue: plugins.catalogue)
        return try Deployment(
            configuration, plugins: plugins, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            wallClock: { .zero })
    }

    private let tenants = """
        version: 1
        pipelines: { echo: { type: echo }, parrot: { type: parrot } }
        tenants:
          rest: { match: any, allow_anonymous: true, pipeline: parrot }
          acme: { match: { host: acme.example.org }, allow_anonymous: true, pipeline: echo, pipelines: { "7": parrot } }
          path: { match: [{ path: /t/acme }, { path: /t }], allow_anonymous: true, pipeline: echo }
          deep: { match: { path: /t/acme/deep }, allow_anonymous: true, pipeline: echo }
        """

    @Test(
        "a tenant is chosen by the longest path prefix, then the host, then any",
        arguments: [
            ("localhost:8080", ["api"], "rest", 1), ("acme.example.org", ["api"], "acme", 1),
            ("ACME.example.org:8080", [], "acme", 0), ("acme.example.org", ["t", "x"], "path", 1),
            ("localhost", ["t", "acme", "api"], "path", 1), ("localhost", ["t", "acme", "deep"], "deep", 0),
            ("localhost", ["tt"], "rest", 1), ("[::1]:8080", [], "rest", 0), ("", ["x"], "rest", 1),
        ])
    func matching(host: String, path: [String], tenant: String, left: Int) throws {
        let match = try deployment(tenants).tenant(host: host, path: path)
        #expect(match?.tenant.name == tenant)
        #expect(match?.path.count == left)
    }

    @Test("without a tenant for any, a stranger's host has none")
    func noTenant() throws {
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            tenants:
              acme: { match: { host: acme.example.org }, allow_anonymous: true, pipeline: echo }
            """
        #expect(try deployment(yaml).tenant(host: "localhost", path: []) == nil)
    }

    @Test("a workflow's own pipeline serves it, the tenant's serves the rest")
    func pipelines() throws {
        let acme = try #require(try deployment(tenants).tenant(host: "acme.example.org", path: [])?.tenant)
        for (workflow, name) in [(7, "parrot"), (8, "echo")] {
            let pipeline = acme.pipeline(forWorkflow: workflow)
            #expect(pipeline.name == name && type(of: pipeline.plugin).type == name)
        }
    }

    @Test("an instance that cannot start stops the start, and is named")
    func startFails() async throws {
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            auth: { door: { type: failing } }
            tenants:
              rest: { match: any, auth: [door], pipeline: echo }
            """
        let deployment = try deployment(yaml)
        let failure = await #expect(throws: StartFailure.self) { try await deployment.start() }
        #expect(failure?.description == "auth.door could not start: no key")
    }

    @Test(
        "a path matches a route's template where its segments do",
        arguments: [
            ("/api/v1/x", ["api", "v1", "x"], [:]), ("/a/{id}", ["a", "7"], ["id": "7"]),
            ("/a/{rest*}", ["a", "b", "c"], ["rest": "b/c"]), ("/a/{rest*}", ["a"], ["rest": ""]),
            ("/a/{rest*}", ["b", "c"], nil), ("/a/{id}", ["a"], nil), ("/a/{id}", ["b", "7"], nil),
            ("/a", ["a", "b"], nil),
        ] as [(String, [String], [String: String]?)])
    func templates(template: String, path: [String], parameters: [String: String]?) {
        #expect(Router.parameters(of: path[...], in: template) == parameters)
    }

    @Test("two instances that serve the same route to one tenant are a fault")
    func sameRoute() {
        func yaml(_ chain: String) -> String {
            """
            version: 1
            pipelines: { echo: { type: echo } }
            stores: { local: { type: memory } }
            auth: { one: { type: embed_token, store: local }, two: { type: embed_token, store: local } }
            tenants:
              a: { match: any, auth: \(chain), pipeline: echo }
              b: { match: { path: /b }, auth: [two], pipeline: echo }
            """
        }
        #expect(throws: Never.self) { try deployment(yaml("[one]")) }
        let faults = #expect(throws: Faults.self) { try deployment(yaml("[one, two]")) }
        #expect(faults?.description.contains("the tenant 'a' has auth.one before it") == true)
    }

    @Test("a pipeline at a rate that nothing is resampled to is a fault of its instance")
    func oddRate() throws {
        let yaml = """
            version: 1
            pipelines: { disc: { type: odd } }
            tenants: { rest: { match: any, allow_anonymous: true, pipeline: disc } }
            """
        let faults = #expect(throws: Faults.self) { try deployment(yaml) }
        #expect(faults?.description.contains("its `audio` says 44100 Hz") == true, "\(faults?.description ?? "")")
    }

    @Test("two plugins of one type are found out")
    func programFaults() {
        let plugins: [PluginRegistration] = .builtin
        #expect(plugins.programFault == nil)
        let twice: [PluginRegistration] = [.quota(CountingQuota.self), .quota(CountingQuota.self)]
        #expect((plugins + twice).programFault == "the quota plugin 'counting' is registered twice")
    }
}

/// At the rate of compact discs.
private struct OddPipeline: PipelinePlugin {
    static let type = "odd"
    static let summary = "Wants a rate that there is not."
    let audio = AudioFormat(inputRate: 44_100)

    init(settings: NoSettings, context: PluginContext) {}

    func run(_ call: Call, audio: CallAudio) async throws {}
}

/// Does not start.
private struct FailingAuth: AuthPlugin {
    static let type = "failing"
    static let summary = "Does not start."

    init(settings: NoSettings, context: PluginContext) {}

    func start() async throws { throw CallerError("no key") }

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .pass }
}

@Suite("The auth chain")
struct AuthChainTests {
    /// Says what the test says, and counts how often it was asked.
    private final class Door: AuthPlugin {
        static let type = "door"
        static let summary = "Says what a test says."
        private let outcome: AuthOutcome
        private let count = Mutex(0)

        init(settings: NoSettings, context: PluginContext) { outcome = .pass }

        init(_ outcome: AuthOutcome) { self.outcome = outcome }

        var asked: Int { count.withLock { $0 } }

        func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
            count.withLock { $0 += 1 }
            return outcome
        }
    }

    @Test("the first that accepts wins, and nobody behind it is asked")
    func firstAcceptWins() async throws {
        let last = Door(.accept(Principal(id: "third")))
        let tenant = Tenant.test(auth: [Door(.pass), Door(.accept(Principal(id: "second"))), last])
        guard case .accept(let principal) = try await tenant.authenticate(.test) else {
            Issue.record("nobody accepted")
            return
        }
        #expect(principal.id == "second")
        #expect(last.asked == 0)
    }

    @Test("a rejection ends the chain")
    func rejectEnds() async throws {
        let last = Door(.accept(Principal(id: "third")))
        let tenant = Tenant.test(auth: [Door(.reject(Denial(code: "bad", message: "Bad"))), last])
        guard case .reject(let denial) = try await tenant.authenticate(.test) else {
            Issue.record("nobody rejected")
            return
        }
        #expect(denial.code == "bad")
        #expect(last.asked == 0)
    }

    @Test("when all pass nobody is let in, unless the tenant takes anonymous callers")
    func allPass() async throws {
        var tenant = Tenant.test(auth: [Door(.pass)])
        guard case .pass = try await tenant.authenticate(.test) else {
            Issue.record("somebody decided")
            return
        }
        tenant.allowsAnonymous = true
        guard case .accept = try await tenant.authenticate(.test) else {
            Issue.record("anonymous was refused")
            return
        }
    }
}
