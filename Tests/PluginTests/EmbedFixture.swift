import EmbedTokenAuth
import PatchbayPlugin
import PatchbayTesting
import TestSupport
import Testing

/// An instance for embed pages, and a page at https://example.com that uses it.
struct EmbedFixture {
    static let page = "https://example.com"

    let clock = TestClock()
    let store: MemoryStore
    let auth: EmbedTokenAuth

    init(
        tokens: String = """
        [
          { token: emb_demo, workflow: 7, allowed_domains: [example.com], settings: { theme: dark } },
          { token: emb_off, workflow: 7, allowed_domains: [example.com], active: false },
          { token: emb_old, workflow: 7, allowed_domains: [example.com], expires: 2027-01-15 },
          { token: emb_twice, workflow: 7, usage_limit: 2 },
        ]
        """, settings: String = ""
    ) throws {
        store = MemoryStore(clock: clock)
        auth = try EmbedTokenAuth.watched(
            "{ store: local, tokens: \(tokens), \(settings) }", stores: ["local": store], clock: clock)
    }

    /// The same gateway after its configuration was changed.
    func reconfigured(tokens: String) throws -> EmbedTokenAuth {
        try EmbedTokenAuth.watched(
            "{ store: local, tokens: \(tokens) }", stores: ["local": store], clock: clock)
    }

    func runs(_ tenant: String = "default") -> WorkflowRuns {
        WorkflowRuns(store: store, tenant: tenant)
    }

    // MARK: - HTTP

    func send(
        _ method: String, _ path: String, body: String = "", headers: [String: String] = ["origin": Self.page],
        address: String = "192.0.2.1", network: String? = nil, tenant: String = "default",
        turn: TURNAccess = TURNAccess(),
        to auth: EmbedTokenAuth? = nil
    ) async throws -> RouteResponse {
        let route = try #require((auth ?? self.auth).routes.first)
        #expect(route.method == .any && route.path == "/api/v1/public/embed/{path*}")
        let request = RouteRequest(
            tenant: tenant, method: method, parameters: ["path": path], headers: headers, remoteAddress: address,
            remoteNetwork: network, body: Array(body.utf8), runs: runs(tenant), turn: turn)
        let response = try await route.handler(request)
        let json = try? response.json
        for (member, name) in [("session_token", "a session token"), ("password", "a TURN password")] {
            if let value = json?[member]?.string { Leaks.secret(name, value) }
        }
        return response
    }

    func post(
        token: String, headers: [String: String] = ["origin": Self.page], address: String = "192.0.2.1",
        network: String? = nil, tenant: String = "default", to auth: EmbedTokenAuth? = nil
    ) async throws -> RouteResponse {
        try await send(
            "POST", "init", body: #"{"token":"\#(token)"}"#, headers: headers, address: address, network: network,
            tenant: tenant, to: auth)
    }

    /// A new session of `emb_demo`, or of another token.
    func session(token: String = "emb_demo", context: String = "{}") async throws -> String {
        let body = #"{"token":"\#(token)","context_variables":\#(context)}"#
        return try #require(try await send("POST", "init", body: body).json["session_token"]?.string)
    }

    // MARK: - Sockets

    func connect(
        _ session: String, origin: String = Self.page, tenant: String = "default", to auth: EmbedTokenAuth? = nil
    ) async throws -> AuthOutcome {
        var request = ConnectRequest(tenant: tenant, runs: runs(tenant))
        request.sessionToken = session
        request.origin = origin
        return try await (auth ?? self.auth).authenticate(request)
    }

    // MARK: - Store

    /// Writes an embed token into the store.
    func save(_ token: String, _ json: String) async throws {
        Leaks.secret("an embed token", token)
        try await store.set("embed_token:token:\(token)", Array(json.utf8), timeToLive: nil)
    }

    func remove(_ token: String) async throws {
        _ = try await store.take("embed_token:token:\(token)")
    }

    /// The sessions that the store has.
    var sessions: [JSONValue] {
        get async throws {
            var sessions: [JSONValue] = []
            for key in await store.keys where key.hasPrefix("embed_token:session:") {
                sessions.append(try JSONValue(parsing: try await store.get(key) ?? []))
            }
            return sessions
        }
    }

    /// Where the uses of a token of the configuration are counted.
    static func uses(of token: String) -> String { "embed_token:uses:embed_token/\(token)" }

    /// Whether nothing was started: no run, no session, and no use of any of `tokens`. Counts a use of each.
    func isUntouched(_ tokens: String...) async throws -> Bool {
        let keys = await store.keys.filter { !$0.hasPrefix("embed_token:token:") }
        var uses = 0
        for token in tokens { uses += try await (store.increment(Self.uses(of: token), limit: .max) ?? 0) - 1 }
        let run = try await store.increment("run:default:ids", limit: .max)
        return keys.isEmpty && uses == 0 && run == 1
    }
}

extension RouteResponse {
    var json: JSONValue {
        get throws { try JSONValue(parsing: body) }
    }
}

struct Unreachable: Error {}
