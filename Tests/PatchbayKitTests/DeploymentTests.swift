import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

@Suite("From configuration to tenants")
struct DeploymentTests {
    private func deployment(_ yaml: String) throws -> Deployment {
        let plugins: [PluginRegistration] =
            .builtin + [.auth(FailingAuth.self), .quota(CountingQuota.self), .pipeline(OddPipeline.self)]
        let configuration = try GatewayConfiguration.load(text: yaml, environment: [:], catalogue: plugins.catalogue)
        return try Deployment(configuration, plugins: plugins, logger: .watched, wallClock: { .zero })
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

    @Test("a tenant's runs are kept as long as it says")
    func keptRuns() throws {
        let tenants = try deployment(
            """
            version: 1
            pipelines: { echo: { type: echo } }
            tenants: { default: { match: any, allow_anonymous: true, pipeline: echo, keep_runs: 7d } }
            """
        ).tenants
        #expect(tenants.map(\.keepRuns) == [.seconds(7 * 86_400)])
    }

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

    @Test("among ten thousand tenants one is found about as fast as among ten")
    func tenThousand() {
        func table(_ count: Int) -> TenantTable {
            TenantTable(
                (0..<count).map { number in
                    var tenant = Tenant.test(name: "\(number)")
                    tenant.matches = [.host("h\(number).example"), .path("/t/\(number)")]
                    return tenant
                })
        }
        func fastest(_ table: TenantTable, _ last: Int) -> Duration {
            (0..<20).map { _ in
                ContinuousClock().measure {
                    for _ in 0..<50 {
                        #expect(table.tenant(host: "h\(last).example", path: ["x"])?.tenant.name == "\(last)")
                        #expect(table.tenant(host: "", path: ["t", "\(last)", "x"])?.tenant.name == "\(last)")
                    }
                }
            }.min() ?? .zero
        }
        // A search through all of them takes a thousand times as long.
        #expect(fastest(table(10_000), 9999) < fastest(table(10), 9) * 20)
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

    @Test("an auth instance is told how many tenants have it, however often one of them names it")
    func sharedAuth() throws {
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            auth: { all: { type: failing }, two: { type: failing }, one: { type: failing } }
            tenants:
              a: { match: any, auth: [one, all, one], pipeline: echo }
              b: { match: { path: /b }, auth: [two, all], pipeline: echo }
              c: { match: [{ path: /c }, { path: /cc }], auth: [two, all], pipeline: echo }
            """
        let counts = try deployment(yaml).tenants.map { tenant in tenant.auth.map { "\($0.name) \($0.tenantCount)" } }
        #expect(counts == [["one 1", "all 3", "one 1"], ["two 2", "all 3"], ["two 2", "all 3"]])
    }

    @Test("instances that cannot start stop the start, and are all named")
    func startFails() async throws {
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            auth: { door: { type: failing }, gate: { type: failing } }
            tenants:
              rest: { match: any, auth: [door, gate], pipeline: echo }
            """
        let deployment = try deployment(yaml)
        let failure = await #expect(throws: StartFailures.self) { try await deployment.start() }
        #expect(failure?.description == "auth.door could not start: no key; auth.gate could not start: no key")
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
        let route = "/api/v1/public/embed/{path*}"
        #expect(
            faults?.faults.map { "\($0.path): \($0.message)" } == [
                "tenants.a.auth[1]: a tenant has one instance that serves \(route), and auth.one and auth.two both do"
            ])
        #expect(faults?.description.contains("  |   a: { match: any, auth: [one, two], pipeline: echo }") == true)
    }

    @Test(
        "what shows only when instances are made stands beside other faults; of those that are not made nothing is guessed",
        arguments: [
            ("parrot, pausee: 1s", "embed_token, store: local", "", ["pipelines.parrot"]),
            ("parrot", "embed_token, store: local", "by: nobody", ["tests[0].expect.by"]),
            ("parrot", "embed_token, store: local", "by: users, tenant: nowhere", ["tests[0].expect.tenant"]),
            ("parrot", "embed_token, store: local, tokns: []", "by: users", ["auth.one"]),
            ("parrot", "embed_token, store: nowhere", "by: users", ["auth.one.store"]),
        ])
    func hidden(pipeline: String, one: String, expectation: String, others: [String]) {
        let yaml = """
            version: 1
            stores: { local: { type: memory } }
            auth:
              users: { type: jwt, secret: { env: SECRET } }
              one: { type: \(one) }
              two: { type: embed_token, store: local }
            pipelines: { parrot: { type: \(pipeline) } }
            tenants:
              a: { match: any, auth: [one, two], pipeline: parrot }
              b: { match: { path: /b }, auth: [users], pipeline: parrot, playground: emb_demo }
              c: { match: { path: /c }, auth: [one], pipeline: parrot, playground: emb_demo }
            tests: [{ name: a, connect: { path: /x }, expect: { outcome: refused, \(expectation) } }]
            """
        let plugins: [PluginRegistration] = .builtin
        let faults = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(
                text: yaml, environment: ["SECRET": "2b7e151628aed2a6abf7158809cf4f3c"], catalogue: plugins.catalogue,
                inspect: plugins.inspect)
        }
        let isOneMade = !others.contains { $0.hasPrefix("auth.one") }
        let expected = others + ["tenants.b.playground"] + (isOneMade ? ["tenants.a.auth[1]"] : [])
        #expect(faults?.faults.map(\.path).sorted() == expected.sorted(), "\(faults?.description ?? "")")
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

    @Test(
        "a quota that has rules of its own for when nobody can be asked lets nobody in by on_unavailable",
        arguments: [
            ("{ type: dograh, mode: oss, store: local, on_unavailable: allow }", true),
            ("{ type: dograh, mode: oss, store: local, on_unavailable: deny }", false),
            ("{ type: dograh, mode: oss, store: local }", false),
            ("{ type: dograh_slots, store: shared, on_unavailable: allow }", true),
            ("{ type: dograh_slots, store: shared }", false),
            ("{ type: concurrency, limit: 1, store: local, on_unavailable: allow }", false),
        ])
    func onUnavailable(quota: String, isFault: Bool) throws {
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            stores: { local: { type: memory }, shared: { type: redis, url: "redis://127.0.0.1:1" } }
            quotas: { q: \(quota) }
            tenants: { rest: { match: any, allow_anonymous: true, quotas: [q], pipeline: echo, store: local } }
            """
        guard isFault else {
            #expect(throws: Never.self) { try deployment(yaml) }
            return
        }
        let faults = #expect(throws: Faults.self) { try deployment(yaml) }
        let text = faults?.description ?? ""
        #expect(text.contains("quotas.q.on_unavailable") && text.contains("has rules of its own"), "\(text)")
    }

    @Test(
        "what plugins say against their settings stands beside other faults, in the order of the file",
        arguments: [
            (
                "users: { type: jwt, secret: { env: SHORT } }", "[users, clinic-slot]",
                ["auth.users.secret", "tenants.a.auth[1]"]
            ),
            // Whoever names a store that is faulty is not at fault.
            (
                "users: { type: embed_token, store: far, tokens: [{ token: emb_demo, workflow: 1 }] }",
                "[users, nobody]",
                ["stores.far.trust_roots", "tenants.a.auth[1]"]
            ),
            ("users: { type: embed_token, store: far }", "[users]", ["stores.far.trust_roots"]),
        ])
    func together(auth: String, chain: String, expected: [String]) {
        let isFaulty = expected.contains { $0.hasPrefix("stores") }
        let yaml = """
            version: 1
            stores: { far: { type: redis, url: "redis://192.0.2.1"\(isFaulty ? ", trust_roots: none.pem" : "") } }
            auth: { \(auth) }
            pipelines: { echo: { type: echo } }
            tenants: { a: { match: any, auth: \(chain), pipeline: echo } }
            """
        let plugins: [PluginRegistration] = .builtin
        let faults = #expect(throws: Faults.self) {
            let configuration = try GatewayConfiguration.load(
                text: yaml, environment: ["SHORT": "sevenby"], catalogue: plugins.catalogue, inspect: plugins.inspect)
            _ = try Deployment(configuration, plugins: plugins, logger: .watched, wallClock: { .zero })
        }
        #expect(faults?.faults.map(\.path) == expected, "\(faults?.description ?? "")")
    }

    @Test(
        "a password in a URL that a plugin refuses is not shown",
        arguments: ["type: http, url:", "type: jwt, algorithms: [RS256], jwks:"])
    func userInfo(settings: String) {
        let yaml = """
            version: 1
            auth: { door: { \(settings) "https://svc:hunter2@clinic.example/who" } }
            pipelines: { echo: { type: echo } }
            tenants: { a: { match: any, auth: [door], pipeline: echo } }
            """
        let faults = #expect(throws: Faults.self) { try deployment(yaml) }
        let printed = "\(faults?.description ?? "") \(faults?.json.description ?? "")"
        #expect(printed.contains("no place for a user or a password") && printed.contains("<hidden>"), "\(printed)")
        #expect(!printed.contains("hunter2"), "\(printed)")
    }

    @Test("a playground whose tenant has no embed tokens is a fault where it stands")
    func playground() throws {
        func yaml(_ chain: String) -> String {
            """
            version: 1
            pipelines: { echo: { type: echo } }
            stores: { local: { type: memory } }
            auth: { embeds: { type: embed_token, store: local, tokens: [{ token: emb_demo, workflow: 1 }] } }
            tenants:
              a: { match: any, \(chain), pipeline: echo, playground: emb_demo }
            """
        }
        #expect(throws: Never.self) { try deployment(yaml("auth: [embeds]")) }
        let faults = #expect(throws: Faults.self) { try deployment(yaml("allow_anonymous: true")) }
        #expect(faults?.faults.map(\.path) == ["tenants.a.playground"], "\(faults?.description ?? "")")
        #expect(faults?.description.contains("embed_token") == true)
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
        private let counts = Mutex<[Int]>([])

        init(settings: NoSettings, context: PluginContext) { outcome = .pass }

        init(_ outcome: AuthOutcome) { self.outcome = outcome }

        var asked: Int { tenantCounts.count }
        /// What it was told each time.
        var tenantCounts: [Int] { counts.withLock { $0 } }

        func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
            counts.withLock { $0.append(request.tenantCount) }
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

    @Test("each is told how many tenants have it, and not how many have another of the chain")
    func tenantCounts() async throws {
        let doors = [Door(.pass), Door(.accept(Principal(id: "second")))]
        var tenant = Tenant.test(auth: doors)
        tenant.auth[0].tenantCount = 3
        _ = try await tenant.authenticate(.test)
        #expect(doors.map(\.tenantCounts) == [[3], [1]])
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

    @Test("a rejection that is not final leaves it to the next, and holds when nobody accepts")
    func notFinal() async throws {
        var denial = Denial(code: "bad", message: "Bad")
        denial.isFinal = false
        var tenant = Tenant.test(auth: [Door(.reject(denial)), Door(.accept(Principal(id: "7")))])
        guard case .accept(let principal) = try await tenant.authenticate(.test) else {
            Issue.record("the second was not asked")
            return
        }
        #expect(principal.id == "7")
        for last in [AuthOutcome.pass, .reject(Denial(code: "worse", message: "Worse"))] {
            tenant = Tenant.test(auth: [Door(.reject(denial)), Door(last)])
            tenant.allowsAnonymous = true
            guard case .reject(let held) = try await tenant.authenticate(.test) else {
                Issue.record("whom nobody knows was let in with a credential that is bad")
                return
            }
            let isLast = if case .reject = last { true } else { false }
            #expect(held.code == (isLast ? "worse" : "bad") && held.authInstance == "door")
        }
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
