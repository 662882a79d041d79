import Logging
import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Signaling
import TestSupport
import Testing

@testable import PatchbayKit

/// A router over one tenant that takes any run, and one, below `/r`, that takes registered ones.
struct TestRouter {
    let router: Router
    let deployment: Deployment
    let clock = TestClock()
    private let environment: CallSupervisor.Environment

    /// - Parameter more: further tenants.
    init(turn: TURNServer? = nil, more: String = "", log: any LogHandler = WatchedLog()) throws {
        var environment = CallSupervisor.Environment.test(media: NoMedia(), log: log)
        environment.now = { [clock] in clock.now }
        self.environment = environment
        let plugins: [PluginRegistration] =
            .builtin + [.auth(AwayAuth.self), .auth(BusyAuth.self), .store(AwayStore.self)]
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            stores: { runs: { type: memory }, away: { type: away } }
            auth:
              users: { type: jwt, secret: { env: SECRET } }
              away: { type: away }
              busy: { type: busy }
              embeds: { type: embed_token, store: runs, tokens: [{ token: emb_demo, workflow: 33 }] }
            tenants:
              page: { match: { path: /page }, auth: [users, embeds], pipeline: echo, store: runs, playground: emb_demo }
              open: { match: any, auth: [users], pipeline: echo, store: runs }
              registered: { match: { path: /r }, auth: [users], pipeline: echo, store: runs, runs: registered }
              door: { match: { path: /door }, auth: [away], pipeline: echo, store: runs }
              crowd: { match: { path: /crowd }, allow_anonymous: true, pipeline: echo, store: runs }
              shelf: { match: { path: /shelf }, auth: [users], pipeline: echo, store: away }
              \(more)
            """
        let configuration = try GatewayConfiguration.load(
            text: yaml, environment: ["SECRET": Leaks.secret("an HMAC secret", "2b7e151628aed2a6abf7158809cf4f3c")],
            catalogue: plugins.catalogue)
        deployment = try Deployment(
            configuration, plugins: plugins, logger: environment.logger, wallClock: { [clock] in clock.now })
        router = Router(served: CurrentDeployment(deployment), environment: environment, turnServer: turn)
    }

    var registry: CallRegistry { environment.registry }

    func runs(_ tenant: String) throws -> WorkflowRuns {
        try #require(deployment.tenants.first { $0.name == tenant }).runs
    }

    func token(
        _ user: String, _ organization: String? = nil, lifetime: Duration = .seconds(60)
    ) async throws -> String {
        let minter = try #require(deployment.auth["users"] as? any TokenMinter)
        return try await Leaks.token(
            minter.mint(TokenRequest(user: user, organization: organization, lifetime: lifetime)))
    }

    static func request(_ path: String, token: String? = nil, address: String = "192.0.2.1") -> Request {
        Request(
            method: "GET", rawPath: path, path: path.split(separator: "/").map(String.init),
            query: token.map { ["token": $0] } ?? [:], remoteAddress: address, host: "localhost")
    }

    /// The status and body of the answer to a handshake; 101 when it is let in.
    func status(_ request: Request) async -> (Int, String) {
        switch await router.upgrade(request) {
        case .accept: (101, "")
        case .refuse(let response): (response.status, String(decoding: response.body, as: UTF8.self))
        }
    }

    /// Whatever was counted of sockets and calls.
    var counted: [Int?] {
        let json = registry.json(media: .null)
        return ["sockets", "leases", "started"].map { json[$0]?.integer }
    }
}

private struct AwayAuth: AuthPlugin {
    static let type = "away"
    static let summary = "Cannot tell."
    init(settings: NoSettings, context: PluginContext) {}
    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { throw CallerError("unreachable") }
}

private struct BusyAuth: AuthPlugin {
    static let type = "busy"
    static let summary = "Is asked too much."
    init(settings: NoSettings, context: PluginContext) {}
    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .reject(.tooManyRequests) }
}

private struct AwayStore: StorePlugin {
    static let type = "away"
    static let summary = "Cannot be asked."
    init(settings: NoSettings, context: PluginContext) {}
    func get(_ key: String) async throws -> [UInt8]? { throw CallerError("unreachable") }
    func set(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws {}
    func add(_ key: String, _ value: [UInt8], timeToLive: Duration?) async throws -> Bool { true }
    func take(_ key: String) async throws -> [UInt8]? { nil }
    func keys(startingWith prefix: String, limit: Int) async throws -> [String] { [] }
    func increment(_ key: String, limit: Int) async throws -> Int? { nil }
    func counter(_ key: String) async throws -> Int { 0 }
    func share(
        _ key: String, member: String, _ change: CounterShare.Change, timeToLive: Duration
    ) async throws -> (share: Int, count: Int) { (0, 0) }
    func lease(_ set: String, member: String, limit: Int, timeToLive: Duration) async throws -> Bool { true }
    func release(_ set: String, member: String) async throws {}
    func count(_ set: String) async throws -> Int { 0 }
}

@Suite("Admission of signed-in sockets")
struct AdmissionTests {
    enum Caller: String {
        /// User 7 of the organisation acme.
        case acme
        /// User 9 of no organisation.
        case alone
        case none, bad, expired
    }

    /// What stands after `/api/v1/ws/signaling/`, who calls, and what the two tenants answer: 101, 403 without a body, or a
    /// `detail`.
    typealias Row = (path: String, caller: Caller, open: String, registered: String)

    static let (mismatch, unknown, noOrganization) = (
        "workflow_run_workflow_mismatch", "Bad workflow_run_id", "No organization selected"
    )

    @Test(
        "each refusal is the one that clients know, and the earlier one wins",
        arguments: [
            // Row 1: the path.
            ("33/x", .acme, "403", "403"),
            ("x/501", .acme, "403", "403"),
            ("3.3/501", .acme, "403", "403"),
            ("33/99999999999999999999", .acme, "403", "403"),
            ("33", .acme, "403", "403"),
            ("33/501/1", .acme, "403", "403"),
            ("", .acme, "403", "403"),
            // Rows 2 and 3: the credential.
            ("33/501", .none, "403", "403"),
            ("33/501", .bad, "403", "403"),
            ("33/501", .expired, "403", "403"),
            // Row 4: no organisation.
            ("33/501", .alone, "101", noOrganization),
            // Row 5: a run that is not the organisation's.
            ("33/599", .acme, "101", unknown),
            ("33/-1", .acme, "101", unknown),
            ("33/503", .acme, "101", unknown),
            // Row 6: another workflow's.
            ("44/501", .acme, mismatch, mismatch),
            ("33/502", .acme, mismatch, mismatch),
            ("0/501", .acme, mismatch, mismatch),
            // Row 7: let in, also when the run is over: its offer hears of it.
            ("33/501", .acme, "101", "101"),
            ("33/505", .acme, "101", "101"),
            // Of two that hold the earlier.
            ("x/501", .bad, "403", "403"),
            ("x/501", .alone, "403", "403"),
            ("x/599", .acme, "403", "403"),
            ("33/599", .bad, "403", "403"),
            ("44/501", .bad, "403", "403"),
            ("44/501", .none, "403", "403"),
            ("33/599", .alone, "101", noOrganization),
            ("44/504", .alone, mismatch, noOrganization),
            ("44/503", .acme, "101", unknown),
        ] as [Row])
    func row(_ row: Row) async throws {
        let test = try TestRouter()
        for tenant in ["open", "registered"] {
            let runs = try test.runs(tenant)
            let (acme, other) = (RunOwner.organization("acme"), RunOwner.organization("other"))
            for run in [
                WorkflowRun(id: 501, owner: acme, workflowID: 33), WorkflowRun(id: 502, owner: acme, workflowID: 44),
                WorkflowRun(id: 503, owner: other, workflowID: 33),
                WorkflowRun(id: 504, owner: .user("users/9"), workflowID: 33),
                WorkflowRun(id: 505, owner: acme, workflowID: 33, hasEnded: true),
            ] { #expect(try await runs.add(run)) }
        }
        let token: String?
        switch row.caller {
        case .acme: token = try await test.token("7", "acme")
        case .alone: token = try await test.token("9")
        case .none: token = nil
        case .bad: token = try await test.token("7", "acme") + "x"
        case .expired:
            token = try await test.token("7", "acme")
            test.clock.advance(by: .seconds(3600))
        }
        for (tenant, prefix, expected) in [("open", "", row.open), ("registered", "/r", row.registered)] {
            let request = TestRouter.request("\(prefix)/api/v1/ws/signaling/\(row.path)", token: token)
            let (status, body) = await test.status(request)
            switch expected {
            case "101": #expect((status, body) == (101, ""))
            case "403": #expect((status, body) == (403, ""))
            default: #expect((status, body) == (400, #"{"detail":"\#(expected)"}"#))
            }
            #expect(test.counted == [0, 0, 0])
            #expect(try await test.runs(tenant).find(599, owner: .organization("acme")) == nil)
        }
    }

    @Test(
        "a path beside the signaling route is refused", arguments: ["/api/v1/ws/33/501", "/ws/signaling/33/501", "/"])
    func elsewhere(path: String) async throws {
        let test = try TestRouter()
        let answer = await test.status(TestRouter.request(path, token: try await test.token("7", "acme")))
        #expect(answer == (403, ""))
    }

    @Test(
        "a token counts in the query, as a bearer, and as a subprotocol, which is then chosen; an API key wins over it",
        arguments: [
            (["authorization": "Bearer %"], [:], 101, nil), (["authorization": "bearer %"], [:], 101, nil),
            (["sec-websocket-protocol": "bearer, %"], [:], 101, "bearer"),
            (["sec-websocket-protocol": "other, %"], [:], 403, nil), (["authorization": "Basic %"], [:], 403, nil),
            (["authorization": "Bearer x"], ["token": "%"], 101, nil),
            (["authorization": "Bearer %"], ["token": "x"], 403, nil),
            ([:], ["token": "%", "api_key": "unknown"], 403, nil), (["x-api-key": "unknown"], ["token": "%"], 403, nil),
            ([:], ["token": ""], 403, nil),
        ] as [([String: String], [String: String], Int, String?)])
    func places(
        headers: [String: String], query: [String: String], expected: Int, subprotocol: String?
    ) async throws {
        let test = try TestRouter()
        let token = try await test.token("7")
        var request = TestRouter.request("/api/v1/ws/signaling/33/501")
        request.headers = headers.mapValues { $0.replacing("%", with: token) }
        request.query = query.mapValues { $0.replacing("%", with: token) }
        switch await test.router.upgrade(request) {
        case .accept(let chosen, _): #expect((101, chosen) == (expected, subprotocol))
        case .refuse(let response): #expect((response.status, response.body) == (expected, []))
        }
    }

    @Test("on an embed page's socket the session is the credential, whatever else is shown")
    func embedSocket() async throws {
        let test = try TestRouter()
        var start = TestRouter.request("/page/api/v1/public/embed/init")
        (start.method, start.body) = ("POST", Array(#"{"token":"emb_demo"}"#.utf8))
        let session = try JSONValue(parsing: await test.router.respond(to: start).body)["session_token"]?.string
        let path = "/page/api/v1/ws/public/signaling/\(Leaks.secret("a session token", try #require(session)))"
        for token in [nil, "nonsense", try await test.token("7")] {
            #expect(await test.status(TestRouter.request(path, token: token)).0 == 101)
        }
        #expect(await test.status(TestRouter.request(path + "x", token: try await test.token("7"))).0 == 403)
    }

    @Test(
        "who cannot be asked is 503",
        arguments: [("/door", "Authentication is unavailable"), ("/shelf", "Runs are unavailable")])
    func unavailable(prefix: String, detail: String) async throws {
        let test = try TestRouter()
        let request = TestRouter.request(
            "\(prefix)/api/v1/ws/signaling/33/501", token: try await test.token("7", "acme"))
        #expect(await test.status(request) == (503, #"{"detail":"\#(detail)"}"#))
    }

    @Test("who asks too much is 429, at the socket and for TURN credentials")
    func tooMany() async throws {
        let test = try TestRouter(
            more: "crush: { match: { path: /crush }, auth: [busy], pipeline: echo, store: runs }")
        let body = #"{"detail":"Too many requests. Please try again shortly"}"#
        #expect(await test.status(TestRouter.request("/crush/api/v1/ws/signaling/33/501", token: "x")) == (429, body))
        let turn = await test.router.respond(to: TestRouter.request("/crush/api/v1/turn/credentials"))
        #expect(turn.status == 429 && turn.body == Array(body.utf8))
    }

    @Test("while the gateway drains every good path is 503")
    func draining() async throws {
        let test = try TestRouter()
        test.registry.drain()
        let restarting = (503, #"{"detail":"The server is about to restart"}"#)
        let path = "/api/v1/ws/signaling/33/501"
        #expect(await test.status(TestRouter.request(path, token: try await test.token("7", "acme"))) == restarting)
        #expect(await test.status(TestRouter.request(path)) == restarting)
        #expect(await test.status(TestRouter.request("/api/v1/ws/signaling/33/x")) == (403, ""))
    }

    @Test("an address has 20 sockets without a call at a tenant, and has room again when one is gone")
    func idleSockets() async throws {
        let test = try TestRouter()
        let token = try await test.token("7", "acme")
        func request(_ run: Int, _ address: String = "192.0.2.1") -> Request {
            TestRouter.request("/api/v1/ws/signaling/33/\(run)", token: token, address: address)
        }
        var open: [Upgrade] = []
        for run in 0..<20 {
            let upgrade = await test.router.upgrade(request(run))
            guard case .accept = upgrade else {
                Issue.record("socket \(run) was refused")
                return
            }
            open.append(upgrade)
        }
        #expect(await test.status(request(20)) == (429, #"{"detail":"Too many sockets without a call"}"#))
        #expect(await test.status(request(20, "192.0.2.2")) == (101, ""))
        // Nor is it in the way of another tenant's callers.
        #expect(await test.status(TestRouter.request("/page/api/v1/ws/signaling/33/20", token: token)) == (101, ""))
        // A refused credential is refused before that.
        #expect(await test.status(TestRouter.request("/api/v1/ws/signaling/33/1", token: "x")) == (403, ""))
        open.removeLast()
        #expect(await test.status(request(20)) == (101, ""))
        open.removeAll()
        #expect(test.counted == [0, 0, 0])
    }

    @Test("a tenant has as many sockets as its limit says, and has room again when one is gone")
    func tenantSockets() async throws {
        let test = try TestRouter(
            more: "small: { match: { path: /s }, auth: [users], pipeline: echo, store: runs, limits: { sockets: 2 } }")
        let token = try await test.token("7", "acme")
        func request(_ run: Int, at prefix: String = "/s") -> Request {
            TestRouter.request("\(prefix)/api/v1/ws/signaling/33/\(run)", token: token, address: "192.0.2.\(run)")
        }
        func tenants() -> JSONValue? { test.registry.json(media: .null)["tenants"] }
        #expect(tenants() == [:])
        var open = [await test.router.upgrade(request(1)), await test.router.upgrade(request(2))]
        #expect(await test.status(request(3)) == (429, #"{"detail":"Too many sockets"}"#))
        #expect(test.counted == [2, 0, 0])
        // Nor is it in the way of another tenant's callers.
        let other = await test.router.upgrade(request(3, at: ""))
        guard case .accept = other else {
            Issue.record("another tenant's caller was refused")
            return
        }
        let refused: JSONValue = ["too_many_tenant_sockets": 1]
        #expect(
            tenants() == [
                "small": ["calls": 0, "sockets": 2, "started": 0, "refused": refused],
                "open": ["calls": 0, "sockets": 1, "started": 0, "refused": [:]],
            ])
        open.removeLast()
        #expect(await test.status(request(3)) == (101, ""))
        open.removeAll()
        #expect(tenants()?["small"] == ["calls": 0, "sockets": 0, "started": 0, "refused": refused])
        #expect(test.registry.json(media: .null)["refused"] == refused)
    }

    @Test(
        "a full tenant has another socket for who may come back to a call, and none for who only says so",
        arguments: [("users", "10s", 101), ("users", "0s", 429), (nil, "10s", 429)] as [(String?, String, Int)])
    func returning(auth: String?, grace: String, status: Int) async throws {
        let who = auth.map { "auth: [\($0)]" } ?? "allow_anonymous: true"
        let limits = "limits: { sockets: 1, grace: \(grace) }"
        let test = try TestRouter(
            more: "small: { match: { path: /s }, \(who), pipeline: echo, store: runs, \(limits) }")
        let token = try await auth == nil ? nil : test.token("7", "acme")
        let request = TestRouter.request("/s/api/v1/ws/signaling/33/1", token: token)
        let first = await test.router.upgrade(request)
        guard case .accept = first else {
            Issue.record("the first was refused")
            return
        }
        // As after its offer.
        var principal = auth == nil ? Principal(id: "anonymous") : Principal(id: "7", organization: "acme")
        principal.authInstance = auth
        let target = SignalingSession.Target(principal: principal, workflowID: 33, workflowRunID: 1)
        let call = CallRequest(
            callID: "c", tenant: "small", principal: principal, workflowID: 33, workflowRunID: 1)
        let client = CallClient(call, pcID: "pc")
        #expect(test.registry.claim(client))
        let leg = NoMedia.Leg(host: NoMedia()) { _ in }
        test.registry.add(
            .init(
                id: "c", tenant: "small", workflowID: 33, workflowRunID: 1, principal: principal, state: "connected",
                client: client, leg: { leg }))
        #expect(test.registry.hasCall(of: target, tenant: "small"))
        #expect(await test.status(request) == (status, status == 101 ? "" : #"{"detail":"Too many sockets"}"#))
        // One for its call, and not any number.
        let second = await test.router.upgrade(request)
        #expect(await test.status(request).0 == 429)
        withExtendedLifetime((first, second)) {}
    }

    @Test("words that an endpoint refuses with are counted one by one, and together where they never end")
    func manyReasons() {
        let registry = CallRegistry()
        func count(_ code: String, by instance: String? = "app") {
            var denial = Denial(code: code, message: "No")
            denial.authInstance = instance
            registry.count(denial, tenant: "a")
        }
        for number in 0..<1000 { count("reason_\(number)") }
        count("reason_7")
        // The gateway's own never end up there.
        count("reason_of_ours", by: nil)
        let refused = registry.json(media: .null)["tenants"]?["a"]?["refused"]
        #expect(refused?["reason_of_ours"] == 1)
        #expect(refused?["reason_7"] == 2 && refused?["reason_99"] == 1 && refused?["reason_100"] == nil)
        #expect(refused?["other"] == 900)
    }
}
