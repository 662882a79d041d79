import Media
import PatchbayConfig
import PatchbayPlugin
import Signaling
import WebRTC
import Wire

/// `/livez`, `/readyz`, `/calls`, `/quotas` and `/reload`, for operators.
struct AdminPage: Sendable {
    let environment: CallSupervisor.Environment
    /// As the configuration names it.
    let host: String
    /// The tenant of a name, as the configuration is now.
    let tenant: @Sendable (String) -> Tenant?
    let reload: @Sendable () async -> Reloader.Outcome

    func respond(to request: Request) async -> Response {
        if request.path == ["reload"] { return await reload(request) }
        guard request.isRead else { return Router.failure(405, "Method Not Allowed") }
        switch request.path {
        case ["calls"] where !isAddressed(request), ["quotas"] where !isAddressed(request): return misdirected(request)
        case ["readyz"] where environment.registry.isDraining:
            return .json(#"{"status":"draining"}"#, status: 503)
        case ["livez"], ["readyz"]: return .json(#"{"status":"ok"}"#)
        case ["calls"]:
            let counters = await environment.media.counters()
            let media: JSONValue = [
                "received": .integer(counters.received), "sent": .integer(counters.sent),
                "unsent": .integer(counters.unsent), "unknown_source": .integer(counters.unknownSource),
                "oversized": .integer(counters.oversized), "socket_errors": .integer(counters.socketErrors),
                "connections": .integer(environment.media.load),
                "tick_lateness_p50_ms": counters.tickLateness.percentile(0.5).map(JSONValue.number) ?? .null,
                "tick_lateness_p99_ms": counters.tickLateness.percentile(0.99).map(JSONValue.number) ?? .null,
            ]
            // A loop that is stuck must not take the page with it: its calls are shown without their figures.
            let statistics = await environment.registry.legs.statistics(within: .seconds(1))
            return .json(environment.registry.json(media: media, statistics: statistics).description)
        case ["quotas"]: return await quotas(request)
        default: return Router.notFound
        }
    }

    /// How much of a tenant's quotas a caller, and those who share them with it, have used.
    private func quotas(_ request: Request) async -> Response {
        let query = request.query
        let known: Set = ["tenant", "auth", "user", "organization", "embed_token"]
        guard let name = query["tenant"], known.isSuperset(of: query.keys),
            (query["auth"] == nil) == (query["user"] == nil)
        else {
            return Router.failure(
                400,
                "Say whose: ?tenant=NAME, and &auth=INSTANCE&user=ID, &organization=ID or &embed_token=TOKEN beside it")
        }
        guard let tenant = tenant(name) else { return Router.failure(404, "There is no tenant of that name") }
        if let auth = query["auth"], !tenant.has(auth) {
            return Router.failure(404, "The tenant's auth has no instance of that name")
        }
        let (user, token) = (query["user"], query["embed_token"])
        var principal = Principal(
            id: user ?? Principal.anonymous, organization: query["organization"],
            runOwner: token.map(RunOwner.embedToken))
        principal.authInstance = query["auth"]
        let call = CallRequest(callID: "", tenant: name, principal: principal, workflowID: 0, workflowRunID: 0)
        // Whose user's calls those of an embed token are was not said.
        let nobody = user == nil && token != nil ? QuotaScope.user.holder(of: call) : nil
        var usages: [JSONValue] = []
        for quota in tenant.quotas {
            var json: [String: JSONValue] = [
                "quota": .string(quota.name), "type": .string(type(of: quota.plugin).type),
            ]
            do {
                let usage = try await within(.seconds(2)) { [quota] in try await quota.plugin.usage(of: call) }
                let members = usage.flatMap { $0.holder == nobody ? nil : $0.members } ?? ["used": .null]
                json.merge(members) { own, _ in own }
            } catch {
                json["error"] = .string("\(error)")
            }
            usages.append(.object(json))
        }
        let answer: JSONValue = ["tenant": .string(name), "quotas": .array(usages)]
        return .json(answer.description)
    }

    /// Whether it asks for this port by an address, or by a name that is ours. A page whose own name leads here all at once
    /// (DNS rebinding) would read the answer otherwise.
    private func isAddressed(_ request: Request) -> Bool {
        let name = hostName(ofHost: request.host)
        return ["", "localhost", host.lowercased()].contains(name) || SocketAddress(name, port: 0) != nil
    }

    private func misdirected(_ request: Request) -> Response {
        Router.failure(421, "Ask by an IP address, as localhost, or by the name that server.admin has")
    }

    private func reload(_ request: Request) async -> Response {
        guard request.method == "POST" else { return Router.failure(405, "Method Not Allowed") }
        // A page that somebody looks at on this machine is not somebody.
        guard request.headers["origin"] == nil else { return Router.failure(403, "Not for pages") }
        guard isAddressed(request) else { return misdirected(request) }
        let (status, body): (Int, JSONValue) =
            switch await reload() {
            case .done(let change): (200, change.json)
            case .faults(let faults): (422, ["status": "faulty", "faults": faults.json])
            case .needsRestart(let settings):
                (409, ["status": "needs a restart", "settings": .array(settings.map(JSONValue.string))])
            case .cannotStart(let all):
                (503, ["status": "cannot start", "errors": .array(all.failures.map { .string($0.description) })])
            }
        return .json(body.description, status: status)
    }
}

extension QuotaUsage {
    /// As `/quotas` shows it.
    fileprivate var members: [String: JSONValue] {
        [
            "holder": .string(holder), "unit": .string(unit.rawValue), "used": .integer(used), "limit": .integer(limit),
            "left": .integer(max(0, limit &- used)),
            "renewal": renewal.map { Timestamp(sinceEpoch: $0).written } ?? .null,
        ]
    }
}
