import Logging
import PatchbayConfig
import PatchbayPlugin
import Signaling

/// Which tenant a request is for, and what it asks: the playground, the script of embed pages, health, TURN, a plugin's route, a signaling socket.
struct Router: Sendable {
    static let prefix = ["api", "v1"]

    let served: CurrentDeployment
    let environment: CallSupervisor.Environment
    let turnServer: TURNServer?
    /// Sockets that have had no call yet.
    let waiting = PlaceCounter()
    /// Of callers who may have one.
    let single = SingleSockets()
    /// What other gateways on the same store know this one by.
    let gateway = String(UInt64.random(in: 0...UInt64.max), radix: 16)
    /// How often a signed-in caller may ask for TURN credentials, by tenant and caller.
    let turnLimit = RateLimit(perMinute: 60)

    init(served: CurrentDeployment, environment: CallSupervisor.Environment, turnServer: TURNServer? = nil) {
        self.served = served
        self.environment = environment
        self.turnServer = turnServer
    }

    /// Answers what is not about a socket.
    @Sendable func respond(to request: Request) async -> Response {
        let deployment = served.current
        let request = request.seen(through: deployment.server.trustedProxies)
        guard let (tenant, path) = deployment.tenant(host: request.host, path: request.path) else {
            // What is only read may be anybody's health check.
            if request.method == "POST" { refuse("request", .noTenant, request) }
            return Self.notFound
        }
        if path.isEmpty, request.isRead, let token = tenant.playground {
            return Response(
                status: 200, headers: ["content-type": "text/html; charset=utf-8", "cache-control": "no-store"],
                body: Playground.page(token: token))
        }
        if let response = embedScript(for: request, tenant: tenant, path: path) { return response }
        if let response = await ownResponse(to: request, tenant: tenant, path: path) { return response }
        let turn = turn(of: tenant)
        guard
            let (response, denial) = await tenant.pluginResponse(
                to: request, path: path, turn: turn, logger: environment.logger)
        else { return Self.notFound }
        if let denial { refuse("request", denial, request, tenant) }
        return response
    }

    /// Counts what is refused and writes it down.
    func refuse(_ what: String, _ denial: Denial, _ request: Request, _ tenant: Tenant? = nil, by: String? = nil) {
        environment.refuse(what, denial, network: request.remoteNetwork, known(of: request, tenant, by: by))
    }

    /// What the log has of a request that is refused.
    func known(of request: Request, _ tenant: Tenant?, by authInstance: String?) -> [String: String?] {
        [
            "tenant": tenant?.name, "host": tenant == nil ? request.host : nil, "address": request.remoteAddress,
            "origin": request.page, "auth": authInstance,
        ]
    }

    static let notFound = failure(404, "Not Found")

    static func failure(_ status: Int, _ detail: String) -> Response {
        .json((["detail": .string(detail)] as JSONValue).description, status: status)
    }

    /// What the tenant's callers have for TURN.
    func turn(of tenant: Tenant) -> TURNAccess {
        guard let turnServer else { return TURNAccess(isForced: tenant.onlyRelays) }
        return TURNAccess(isForced: tenant.onlyRelays) { [wallClock = served.current.wallClock] id, lifetime in
            try turnServer.credentials(for: id, lifetime: lifetime, now: wallClock())
        }
    }

    /// What stands in the `{name}` places of a route's path; nil when the paths differ elsewhere.
    static func parameters(of path: ArraySlice<String>, in template: String) -> [String: String]? {
        let parts = template.split(separator: "/")
        var parameters: [String: String] = [:]
        var rest = path
        for part in parts {
            if part.hasPrefix("{"), part.hasSuffix("*}") {
                parameters[String(part.dropFirst().dropLast(2))] = rest.joined(separator: "/")
                return parameters
            }
            guard let segment = rest.popFirst() else { return nil }
            if part.hasPrefix("{"), part.hasSuffix("}") {
                parameters[String(part.dropFirst().dropLast())] = segment
            } else if part != segment {
                return nil
            }
        }
        return rest.isEmpty ? parameters : nil
    }
}

extension Request {
    /// GET, or HEAD, whose answer has no body.
    var isRead: Bool { method == "GET" || method == "HEAD" }
}
