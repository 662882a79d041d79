import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

@Suite("Trying the tests of a configuration", .timeLimit(.minutes(1)))
struct CaseRunnerTests {
    private static let base = """
        version: 1
        media: { addresses: [192.0.2.7] }
        stores: { local: { type: memory } }
        auth:
          users: { type: jwt, secret: { env: SECRET } }
          brief: { type: jwt, secret: { env: SECRET }, longest_life: 1h }
          embeds:
            type: embed_token
            store: local
            tokens:
              - { token: emb_demo, workflow: 33, owner: shop, allowed_domains: [shop.example], usage_limit: 1 }
              - { token: emb_off, workflow: 33, active: false }
              - { token: emb_old, workflow: 33, expires: 2020-01-31 }
              - { token: emb_many, workflow: 33, owner: shop }
          keys: { type: api_key, store: local }
          slow: { type: slow }
          away: { type: slow, word: away }
          lost: { type: slow, word: lost }
        pipelines: { echo: { type: echo }, parrot: { type: parrot } }
        ice_policies: {}
        tenants:
          acme:
            match: { host: voice.acme.example }
            auth: [users]
            origins: [app.example]
            pipeline: echo
            pipelines: { "7": parrot }
            store: local
            ice: { inbound: private, outbound: public }
          page: { match: { path: /page }, auth: [users, embeds], pipeline: echo, store: local }
          keys: { match: { path: /keys }, auth: [keys], pipeline: echo, store: local }
          open: { match: { path: /open }, allow_anonymous: true, pipeline: echo, store: local }
          runs: { match: { path: /runs }, auth: [users], pipeline: echo, store: local, runs: registered }
          slow: { match: { path: /slow }, auth: [slow], pipeline: echo, store: local }
          away: { match: { path: /away }, auth: [away], pipeline: echo, store: local }
          lost: { match: { path: /lost }, auth: [lost], pipeline: echo, store: local }

        """

    private func runner(_ tests: String, base: String = Self.base) throws -> CaseRunner {
        let plugins: [PluginRegistration] =
            .builtin + [.auth(SlowAuth.self), .auth(OnceAuth.self), .auth(SteadyAuth.self)]
        let environment = [
            "SECRET": Leaks.secret("an HMAC secret", "2b7e151628aed2a6abf7158809cf4f3c"), "TOKEN": "no.such.token",
        ]
        let configuration = try GatewayConfiguration.load(
            text: base + tests, environment: environment, catalogue: plugins.catalogue)
        return try CaseRunner(
            configuration, plugins: plugins, environment: environment, logger: .watched,
            patience: .milliseconds(200), wallClock: { .seconds(1_800_000_000) })
    }

    private func reports(_ tests: String, base: String = Self.base) async throws -> [CaseReport] {
        let entries = tests.split(separator: "\n").map { "  - { name: a, \($0) }\n" }.joined()
        var runner = try runner("tests:\n" + entries, base: base)
        var reports: [CaseReport] = []
        for test in runner.configuration.tests { reports.append(await runner.run(test)) }
        await runner.stop()
        return reports
    }

    private let acme = "host: Voice.Acme.Example, path: /api/v1/ws/signaling/7/12"
    private let seven = #"token: { mint: users, user: "7", organization: "9" }"#

    @Test("a quota that is about one kind of store gets such a store, though a test writes nothing into it")
    func quotaOfOneKindOfStore() throws {
        let slots = "quotas: { slots: { type: dograh_slots, store: shared } }\ntenants:\n"
        let base = Self.base
            .replacing("stores: {", with: "stores: { shared: { type: redis, url: redis://192.0.2.1 },")
            .replacing("tenants:\n", with: slots)
        #expect(try runner("", base: base).deployment.instances.contains { $0.label == "quotas.slots" })
        #expect(throws: Faults.self) { try runner("", base: base.replacing("store: shared", with: "store: local")) }
    }

    @Test("a signed-in caller is found with all there is to say of one")
    func accepted() async throws {
        let expected = #"""
            outcome: accepted, status: 101, tenant: acme, by: users, user: "7", organization: "9", workflow: 7, run: 12, \#
            events: all, pipeline: parrot, code: ""
            """#
        let reports = try await reports(
            "connect: { \(acme), \(seven) }, expect: { \(expected) }\n"
                + #"connect: { \#(acme.replacing("/7/", with: "/8/")), \#(seven) }, expect: { pipeline: echo, workflow: 8 }"#
        )
        #expect(reports.map(\.isGood) == [true, true], "\(reports)")
    }

    @Test(
        "what is other than it should be is told, with what is there instead",
        arguments: [
            ("tenant: page", "tenant", "page", "acme"), ("outcome: refused", "outcome", "refused", "accepted"),
            ("by: embeds", "by", "embeds", "users"), (#"user: "8""#, "user", "8", "7"),
            (#"organization: """#, "organization", "", "9"), ("workflow: 33", "workflow", "33", "7"),
            ("run: 13", "run", "13", "12"), ("events: none", "events", "none", "all"),
            ("pipeline: echo", "pipeline", "echo", "parrot"), ("code: invalid_token", "code", "invalid_token", ""),
            ("status: 403", "status", "403", "101"),
        ])
    func mismatch(expectation: String, key: String, expected: String, found: String) async throws {
        let report = try #require(
            try await reports("connect: { \(acme), \(seven) }, expect: { \(expectation) }").first)
        #expect(report.mismatches == [CaseReport.Mismatch(key: key, expected: expected, found: found)])
        #expect(!report.isGood && report.failure == nil)
    }

    @Test(
        "a refused caller is found with who refused it, and why",
        arguments: [
            ("token: not.a.token", "status: 403, by: users, code: invalid_token"),
            ("token: { env: TOKEN }", "status: 403, by: users, code: invalid_token"),
            (#"token: { mint: users, user: "7", lifetime: 1h, age: 2h }"#, "by: users, code: invalid_token"),
            (#"api_key: k, token: { mint: users, user: "7" }"#, #"by: "", code: no_credential"#),
            ("", #"status: 403, by: "", code: no_credential, user: "", pipeline: """#),
        ])
    func refused(shown: String, expected: String) async throws {
        let report = try #require(
            try await reports("connect: { \(acme), \(shown) }, expect: { outcome: refused, tenant: acme, \(expected) }")
                .first)
        #expect(report.isGood, "\(report)")
    }

    @Test(
        "a caller on a page is let in from where the tenant's `origins` says, and nobody is asked about any other",
        arguments: [
            ("https://app.example", #"outcome: accepted, status: 101, by: users, user: "7""#),
            ("https://other.example", #"outcome: refused, status: 403, by: "", user: "", code: origin_not_allowed"#),
        ])
    func origins(page: String, expected: String) async throws {
        let report = try #require(
            try await reports(
                "connect: { \(acme), origin: '\(page)', \(seven) }, expect: { tenant: acme, \(expected) }"
            ).first)
        #expect(report.isGood, "\(report)")
    }

    @Test(
        "host and path choose the tenant, and whether there is a socket",
        arguments: [
            ("path: /open/api/v1/ws/signaling/7/12", "outcome: accepted, tenant: open, by: anonymous, user: anonymous"),
            ("path: /api/v1/ws/signaling/7/12", #"outcome: refused, code: no_tenant, tenant: "", status: 403"#),
            ("path: /open/ws/signaling/7/12", "outcome: refused, code: no_socket, tenant: open, status: 403"),
            ("path: /open/api/v1/ws/signaling/7/x", "code: no_socket"),
            (
                #"path: /runs/api/v1/ws/signaling/7/12, token: { mint: users, user: "7", organization: "9" }"#,
                "outcome: refused, tenant: runs, status: 400, code: bad_run"
            ),
        ])
    func routes(connect: String, expected: String) async throws {
        let report = try #require(try await reports("connect: { \(connect) }, expect: { \(expected) }").first)
        #expect(report.isGood, "\(report)")
    }

    @Test(
        "a page's visitor gets a session and its socket, or is refused at either",
        arguments: [
            (
                "token: emb_demo, path: /page, origin: 'https://www.shop.example'",
                #"outcome: accepted, tenant: page, by: embeds, user: shop, workflow: 33, events: transcript"#
            ),
            (
                "token: emb_demo, path: /page, origin: 'https://other.example'",
                "outcome: refused, tenant: page, status: 403, code: domain_not_allowed, by: embeds"
            ),
            ("token: emb_other, path: /page", "outcome: refused, status: 404, code: invalid_embed_token"),
            ("token: emb_off, path: /page", "status: 403, code: embed_token_inactive"),
            ("token: emb_old, path: /page", "status: 403, code: embed_token_expired"),
            (
                "token: emb_demo, host: voice.acme.example",
                #"outcome: refused, tenant: acme, status: 404, code: no_embed_auth, by: """#
            ),
            ("token: emb_demo", "outcome: refused, code: no_tenant"),
        ])
    func embeds(embed: String, expected: String) async throws {
        let report = try #require(try await reports("embed: { \(embed) }, expect: { \(expected) }").first)
        #expect(report.isGood, "\(report)")
    }

    @Test(
        "a candidate is kept or not by the tenant's policy for its way, and never where nobody may send",
        arguments: [
            ("acme", "inbound", "10.0.0.7 50000 typ host", false),
            ("acme", "inbound", "198.51.100.7 50000 typ relay", true),
            ("acme", "inbound", "8.8.4.4 50000 typ srflx", true),
            ("acme", "outbound", "10.0.0.7 50000 typ host", true),
            ("acme", "outbound", "8.8.4.4 50000 typ host", false),
            ("page", "inbound", "10.0.0.7 50000 typ host", true),
            ("page", "inbound", "169.254.169.254 50000 typ host", false),
            ("page", "inbound", "127.0.0.1 50000 typ host", false),
            ("page", "inbound", "10.0.0.7 53 typ host", false),
            ("page", "outbound", "127.0.0.1 50000 typ host", true),
            ("page", "inbound", "4e9c0a3a-1b7e-4d0a-9a55-0c2f6d2f8a11.local 50000 typ host", true),
        ])
    func candidates(tenant: String, direction: String, candidate: String, isKept: Bool) async throws {
        for isExpected in [true, false] {
            let report = try #require(
                try await reports(
                    """
                    candidate: { tenant: \(tenant), direction: \(direction), \
                    candidate: "candidate:1 1 udp 2122260223 \(candidate)" }, expect: { kept: \(isExpected) }
                    """
                ).first)
            #expect(report.isGood == (isExpected == isKept), "\(report)")
        }
    }

    @Test(
        "what cannot be tried fails, whatever is expected",
        arguments: [
            (
                "candidate: { tenant: acme, direction: inbound, candidate: nonsense }, expect: { kept: false }",
                "the candidate is none (RFC 8839 §5.1)"
            ),
            (
                "connect: { path: /away/api/v1/ws/signaling/7/12 }, expect: { outcome: refused }",
                "auth.away could not start: nobody is there"
            ),
            (
                "connect: { path: /slow/api/v1/ws/signaling/7/12 }, expect: { outcome: refused }",
                "auth.slow could not start: it was not done within 200ms"
            ),
            (
                "connect: { path: /lost/api/v1/ws/signaling/7/12 }, expect: { outcome: refused, tenant: lost }",
                "nobody could tell: Authentication is unavailable"
            ),
            (
                "embed: { path: /lost, token: emb_demo }, expect: { outcome: refused }",
                "nobody could tell: Internal Server Error"
            ),
            (
                "connect: { path: /lost/api/v1/ws/signaling/7/12/13 }, expect: { outcome: refused }",
                "nobody was asked: the path is not that of a signaling socket"
            ),
            (
                "connect: { path: /api/v1/ws/signaling/7/12 }, expect: { outcome: refused, user: '' }",
                "nobody was asked: no tenant matches host and path"
            ),
            (
                "embed: { path: /open, token: emb_demo }, expect: { outcome: refused }",
                "nobody was asked: pages start no sessions there"
            ),
            (
                "connect: { path: /x, token: { mint: brief, user: a, lifetime: 2h } }, expect: { outcome: refused }",
                "say lifetime 1h or less"
            ),
            (
                "connect: { path: /x, token: { env: NONE } }, expect: { outcome: refused }",
                "the environment variable 'NONE' is not set"
            ),
        ])
    func failures(test: String, failure: String) async throws {
        // Twice: what could not start is not waited for again.
        let reports = try await reports("\(test)\n\(test)")
        #expect(reports.count == 2)
        for report in reports {
            #expect(!report.isGood && report.failure?.contains(failure) == true, "\(report)")
        }
    }

    @Test(
        "what an instance does not make is a fault where it is written, in the words of a test",
        arguments: [
            ("mint: users", ": a JWT speaks for a user: say which", "add user: ID"),
            ("mint: users, user: ''", ".user: a JWT speaks for a user: say which", "add user: ID"),
            (
                "mint: users, user: a, workflow: 3", ".workflow: a JWT is good for every workflow",
                "leave `workflow` out"
            ),
            ("mint: embeds, workflow: 33", ": the calls of an embed token run as a user: say which", "add user: ID"),
            ("mint: embeds, user: a", ": an embed token starts a workflow: say which", "add workflow: ID"),
            (
                "mint: embeds, user: a, workflow: -1", ".workflow: a workflow's id is 0 or more",
                "write a number from 0"
            ),
            (
                "mint: keys, user: a",
                ".mint: a key is made by writing its hash into the instance's store, and 'auth.keys' has none",
                "write `store` there"
            ),
            (
                "mint: issuer, user: a", ".mint: 'auth.issuer' has no `secret` to sign with",
                "give the test a token of the issuer's, as { env: NAME } or { file: PATH }"
            ),
            (
                "mint: away, user: a", ".mint: auth.away makes no tokens",
                "these do: auth.brief, auth.embeds, auth.issuer, auth.keys, auth.users"
            ),
        ])
    func unmintable(minting: String, fault: String, help: String) {
        let hash = "sha256:" + String(repeating: "0", count: 64)
        let keys =
            "keys: { type: api_key, keys: [{ id: a, hash: \"\(hash)\", user: a }] }\n"
            + "  issuer: { type: jwt, jwks: \"https://issuer.example/keys\" }"
        let test = "tests: [{ name: a, connect: { path: /x, token: { \(minting) } }, expect: { outcome: refused } }]"
        let faults = #expect(throws: Faults.self) {
            try runner(test, base: Self.base.replacing("keys: { type: api_key, store: local }", with: keys))
        }
        #expect(faults?.faults.map { "\($0.path): \($0.message)" } == ["tests[0].connect.token\(fault)"])
        #expect(faults?.faults.first?.help == help)
    }

    @Test(
        "a refusal by accident can be expected, where its status or code is",
        arguments: [
            ("connect: { path: /lost/api/v1/ws/signaling/7/12 }", "code: unavailable"),
            ("connect: { path: /lost/api/v1/ws/signaling/7/12 }", "outcome: refused, status: 503"),
            ("embed: { path: /lost, token: emb_demo }", "outcome: refused, status: 500"),
        ])
    func accidents(test: String, expected: String) async throws {
        let report = try #require(try await reports("\(test), expect: { \(expected) }").first)
        #expect(report.isGood, "\(report)")
    }

    @Test("one line says how a test went, and shows nothing of what the caller had")
    func lines() async throws {
        let reports = try await reports(
            """
            connect: { \(acme), \(seven) }, expect: { outcome: accepted }
            connect: { \(acme), token: hunter2 }, expect: { outcome: accepted, user: "7" }
            """)
        #expect(reports[0].description == "ok      a")
        let line = reports[1].description
        #expect(line.hasPrefix("FAILED  a: outcome should be accepted, is refused; user should be 7, is nothing ("))
        let reason = "(invalid_token: Invalid or expired token: a JWT has three parts, and this has 1)"
        #expect(line.hasSuffix("\(reason) [config.yaml:\(reports[1].test.line)]"))
        #expect(
            reports[1].json["mismatches"] == [
                ["key": "outcome", "expected": "accepted", "found": "refused"],
                ["key": "user", "expected": "7", "found": ""],
            ])
        #expect(reports[0].json["ok"] == true && reports[1].json["ok"] == false)
        for report in reports { #expect(!"\(report) \(report.json)".contains("hunter2")) }
    }

    @Test("a test of a token that may be used once uses nothing up, not for another test either")
    func usesNothingUp() async throws {
        let start = "embed: { token: emb_demo, path: /page, origin: 'https://shop.example' }"
        let test = "\(start), expect: { outcome: accepted }"
        var first = try runner("tests: [{ name: a, \(test) }, { name: b, \(test) }]")
        let tests = first.configuration.tests
        #expect(tests.count == 2)
        for test in tests {
            let report = await first.run(test)
            #expect(report.isGood, "\(report)")
        }
        let instance = first.deployment.instances.first { $0.kind == .store && $0.name == "local" }
        let store = try #require(instance?.plugin as? MemoryStore)
        #expect(await store.keys == [])
        #expect(try await store.counter("embed_token:uses:embeds/emb_demo") == 0)
        await first.stop()
    }

    @Test("a test has what it wrote, in the step after")
    func findsItsOwn() async throws {
        let test = """
            connect: { path: /keys/api/v1/ws/signaling/7/12, api_key: { mint: keys, user: ci } }, \
            expect: { outcome: accepted, by: keys, user: ci }
            """
        let reports = try await reports("\(test)\n\(test)")
        #expect(reports.map(\.isGood) == [true, true], "\(reports)")
    }

    @Test("no test uses up what another is allowed: 20 pages of one address may start at once, and each is the first")
    func limits() async throws {
        let start = "embed: { token: emb_many, path: /page }, expect:"
        let good = Array(repeating: "\(start) { outcome: accepted, by: embeds }", count: 25)
        let reports = try await reports(good.joined(separator: "\n"))
        #expect(reports.count == 25)
        #expect(reports.allSatisfy { $0.isGood }, "\(reports)")
    }

    @Test("an expectation that is wrong fails, before tests that use the same and behind them", arguments: [0, 25])
    func order(place: Int) async throws {
        let start = "embed: { token: emb_many, path: /page }, expect:"
        var tests = Array(repeating: "\(start) { outcome: accepted }", count: 25)
        tests.insert("\(start) { outcome: refused }", at: place)
        let reports = try await reports(tests.joined(separator: "\n"))
        let wrong = CaseReport.Mismatch(key: "outcome", expected: "refused", found: "accepted")
        let expected: [[CaseReport.Mismatch]] = (0..<26).map { $0 == place ? [wrong] : [] }
        #expect(reports.map(\.mismatches) == expected)
        #expect(reports.allSatisfy { $0.failure == nil })
    }

    /// What instances noted while tests ran, and how these went.
    private func lives(once: String, tests: Int = 3) async throws -> (noted: [String], reports: [CaseReport]) {
        let book = "\(UInt64.random(in: 0 ... .max))"
        let base = """
            version: 1
            auth: { steady: { type: steady, book: '\(book)' }, once: { type: once, book: '\(book)'\(once) } }
            pipelines: { echo: { type: echo } }
            tenants: { all: { match: any, auth: [steady, once], pipeline: echo } }

            """
        let test = "connect: { path: /api/v1/ws/signaling/7/12 }, expect: { outcome: accepted, by: once }"
        let reports = try await reports(Array(repeating: test, count: tests).joined(separator: "\n"), base: base)
        return (notes.withLock { $0[book] ?? [] }, reports)
    }

    @Test("what remembers callers starts and stops with each test; what does not, with all of them")
    func ownInstances() async throws {
        let (noted, reports) = try await lives(once: "")
        #expect(reports.map(\.isGood) == [true, true, true], "\(reports)")
        let each = Array(repeating: ["once starts", "once stops"], count: 3).flatMap(\.self)
        let expected: [String] = ["steady starts"] + each + ["steady stops"]
        #expect(noted == expected)
    }

    @Test("what could not start is not tried again, though each test would have one of its own")
    func failedOnce() async throws {
        let (noted, reports) = try await lives(once: ", away: true")
        let failure = "auth.once could not start: nobody is there"
        #expect(reports.map(\.failure) == [failure, failure, failure])
        #expect(noted == ["steady starts", "once starts", "once stops", "steady stops"])
    }

    @Test("what did not stop in time is waited for once")
    func clings() async throws {
        let began = ContinuousClock.now
        let (_, reports) = try await lives(once: ", clings: true", tests: 100)
        #expect(reports.count == 100)
        #expect(reports.allSatisfy { $0.isGood }, "\(reports)")
        // 200 ms, and not for each.
        #expect(ContinuousClock.now - began < .seconds(15))
    }
}

/// What instances of ``OnceAuth`` and ``SteadyAuth`` went through, in order, by the word that a test gives them.
private let notes = Mutex<[String: [String]]>([:])

private struct NotedSettings: PluginSettings {
    @Field("Where it notes its life") var book: String
    @Field("Whether it cannot start") var away: Bool = false
    @Field("Whether it does not stop") var clings: Bool = false

    func note(_ text: String) {
        notes.withLock { $0[book, default: []].append(text) }
    }
}

/// Lets in the first that it meets.
private final class OnceAuth: AuthPlugin {
    static let type = "once"
    static let summary = "Lets one caller in."

    private let settings: NotedSettings
    private let hasMet = Mutex(false)

    init(settings: NotedSettings, context: PluginContext) {
        self.settings = settings
    }

    func start() async throws {
        settings.note("once starts")
        if settings.away { throw CallerError("nobody is there") }
    }

    func stop() async {
        settings.note("once stops")
        if settings.clings { await Task.detached { try? await Task.sleep(for: .seconds(60)) }.value }
    }

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        let isLate = hasMet.withLock { hasMet in
            defer { hasMet = true }
            return hasMet
        }
        return isLate ? .reject(Denial(code: "late", message: "Late")) : .accept(Principal(id: "7"))
    }
}

/// Knows nobody, whoever came before.
private struct SteadyAuth: AuthPlugin {
    static let type = "steady"
    static let summary = "Knows nobody."
    static let remembersCallers = false

    private let settings: NotedSettings

    init(settings: NotedSettings, context: PluginContext) {
        self.settings = settings
    }

    func start() async throws { settings.note("steady starts") }
    func stop() async { settings.note("steady stops") }
    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .pass }
}

/// Cannot start, or not in time; or cannot tell who is calling.
private struct SlowAuth: AuthPlugin, RouteProvider {
    static let type = "slow"
    static let summary = "Does not work."

    struct Settings: PluginSettings {
        @Field("What keeps it") var word: String = "slow"
    }

    private let word: String

    init(settings: Settings, context: PluginContext) {
        word = settings.word
    }

    func start() async throws {
        if word == "away" { throw CallerError("nobody is there") }
        if word == "lost" { return }
        // Whoever cancels it is not heard.
        await Task.detached { try? await Task.sleep(for: .seconds(60)) }.value
    }

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        throw CallerError("nobody knows")
    }

    var routes: [Route] {
        [Route(.post, "/api/v1/public/embed/init") { _ in throw CallerError("nobody knows") }]
    }
}
