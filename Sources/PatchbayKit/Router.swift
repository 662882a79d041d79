import Logging
import PatchbayPlugin
import Signaling
import Synchronization

/// Which tenant a request is for, and what it asks: the playground, health, a plugin's route, a signaling socket.
struct Router: Sendable {
    /// Sockets of one address that have had no call yet.
    private static let idleSocketsPerAddress = 20
    private static let prefix = ["api", "v1"]

    let deployment: Deployment
    let environment: CallSupervisor.Environment
    let playgroundToken: String?
    private let waiting = AddressCounter()

    init(deployment: Deployment, environment: CallSupervisor.Environment, playgroundToken: String?) {
        self.deployment = deployment
        self.environment = environment
        self.playgroundToken = playgroundToken
    }

    // MARK: - HTTP

    @Sendable func respond(to request: Request) async -> Response {
        guard let (tenant, path) = deployment.tenant(host: request.host, path: request.path) else {
            return Self.notFound
        }
        let method = request.method == "HEAD" ? "GET" : request.method
        if path.isEmpty, method == "GET", let playgroundToken, tenant.startsEmbedSessions {
            return Response(
                status: 200, headers: ["content-type": "text/html; charset=utf-8", "cache-control": "no-store"],
                body: Playground.page(token: playgroundToken))
        }
        if Array(path) == Self.prefix + ["health"], method == "GET" {
            return .json(#"{"status":"ok"}"#)
        }
        return await pluginResponse(to: request, tenant: tenant, path: path) ?? Self.notFound
    }

    private static let notFound = Response.json(#"{"detail":"Not Found"}"#, status: 404)

    private func pluginResponse(to request: Request, tenant: Tenant, path: ArraySlice<String>) async -> Response? {
        for case let plugin as any RouteProvider in tenant.auth {
            for route in plugin.routes where route.method.rawValue == request.method {
                guard let parameters = Self.parameters(of: path, in: route.path) else { continue }
                let pluginRequest = RouteRequest(
                    tenant: tenant.name, parameters: parameters, headers: request.headers,
                    remoteAddress: request.remoteAddress, body: request.body)
                do {
                    guard let response = try await route.handler(pluginRequest) else { continue }
                    return Response(status: response.status, headers: response.headers, body: response.body)
                } catch {
                    environment.logger.error("route failed", metadata: ["route": "\(route.path)", "error": "\(error)"])
                    return .json(#"{"detail":"Internal Server Error"}"#, status: 500)
                }
            }
        }
        return nil
    }

    /// What stands in the `{name}` places of a route's path; nil when the paths differ elsewhere.
    static func parameters(of path: ArraySlice<String>, in template: String) -> [String: String]? {
        let parts = template.split(separator: "/")
        guard parts.count == path.count else { return nil }
        var parameters: [String: String] = [:]
        for (part, segment) in zip(parts, path) {
            if part.hasPrefix("{"), part.hasSuffix("}") {
                parameters[String(part.dropFirst().dropLast())] = segment
            } else if part != segment {
                return nil
            }
        }
        return parameters
    }

    // MARK: - Sockets

    /// Decides on a signaling socket. A refused credential is HTTP 403 without a body, which is what a socket closed before
    /// it was accepted looks like to the clients of this wire.
    @Sendable func upgrade(_ request: Request) async -> Upgrade {
        guard let (tenant, path) = deployment.tenant(host: request.host, path: request.path),
            var connect = Self.connectRequest(request, tenant: tenant.name, path: path)
        else { return .refuse(Response(status: 403)) }
        let isPublic = connect.sessionToken != nil
        let principal: Principal
        do {
            switch try await tenant.authenticate(connect) {
            case .accept(let accepted): principal = accepted
            case .reject(let denial): return refuse(denial, request, tenant)
            case .pass: return refuse(Self.noCredential, request, tenant)
            }
        } catch {
            environment.logger.error(
                "authentication failed", metadata: ["tenant": "\(tenant.name)", "error": "\(error)"])
            return .refuse(.json(#"{"detail":"Authentication is unavailable"}"#, status: 503))
        }
        connect.workflowID = isPublic ? principal.workflowID : connect.workflowID
        connect.workflowRunID = isPublic ? principal.workflowRunID : connect.workflowRunID
        guard let workflow = connect.workflowID, let run = connect.workflowRunID,
            principal.workflowID ?? workflow == workflow, principal.workflowRunID ?? run == run
        else { return refuse(Self.mismatch, request, tenant) }
        let address = request.remoteAddress
        guard waiting.enter(address, limit: Self.idleSocketsPerAddress) else {
            environment.registry.countRefusal("too_many_sockets")
            return .refuse(.json(#"{"detail":"Too many sockets without a call"}"#, status: 429))
        }
        // A client that is gone by the time it is accepted never gets to the handler: `leave` then runs at its end.
        let leave = OnlyOnce { [waiting] in waiting.leave(address) }
        return .accept(subprotocol: Self.subprotocol(request)) { [environment] socket in
            environment.registry.sockets.add(1, ordering: .relaxed)
            let session = SignalingSession(
                socket: socket, tenant: tenant, principal: principal, workflowID: workflow, workflowRunID: run,
                environment: environment, onFirstCall: { leave.run() })
            await session.run()
            leave.run()
            environment.registry.sockets.subtract(1, ordering: .relaxed)
        }
    }

    private static let noCredential = Denial(code: "no_credential", message: "No auth instance knows the credential")
    private static let mismatch = Denial(
        code: "workflow_run_workflow_mismatch", message: "The credential is for another workflow or run")

    private func refuse(_ denial: Denial, _ request: Request, _ tenant: Tenant) -> Upgrade {
        environment.registry.countRefusal(denial.code)
        environment.logger.info(
            "socket refused",
            metadata: [
                "reason": "\(denial.message)", "code": "\(denial.code)", "tenant": "\(tenant.name)",
                "address": "\(request.remoteAddress)",
            ])
        return .refuse(Response(status: 403))
    }

    private static func connectRequest(
        _ request: Request, tenant: String, path: ArraySlice<String>
    ) -> ConnectRequest? {
        guard path.starts(with: prefix) else { return nil }
        var connect = ConnectRequest(tenant: tenant)
        let rest = Array(path.dropFirst(prefix.count))
        if rest.count == 4, rest[..<2] == ["ws", "signaling"], let workflow = Int(rest[2]), let run = Int(rest[3]) {
            (connect.workflowID, connect.workflowRunID) = (workflow, run)
        } else if rest.count == 4, rest[..<3] == ["ws", "public", "signaling"] {
            connect.sessionToken = rest[3]
        } else {
            return nil
        }
        connect.bearerToken =
            request.query["token"] ?? bearer(request.headers["authorization"])
            ?? subprotocols(request).dropFirst().first
        connect.apiKey = request.query["api_key"] ?? request.headers["x-api-key"]
        connect.origin = request.headers["origin"] ?? request.headers["referer"] ?? ""
        connect.remoteAddress = request.remoteAddress
        return connect
    }

    private static func bearer(_ authorization: String?) -> String? {
        guard let authorization, authorization.lowercased().hasPrefix("bearer ") else { return nil }
        return String(authorization.dropFirst(7))
    }

    /// `Sec-WebSocket-Protocol: bearer, TOKEN`: the one header a browser's script can set on a socket.
    private static func subprotocols(_ request: Request) -> [String] {
        let names = (request.headers["sec-websocket-protocol"] ?? "").split(separator: ",")
            .map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
        return names.first == "bearer" ? names : []
    }

    private static func subprotocol(_ request: Request) -> String? {
        subprotocols(request).first
    }
}

/// Counts by address, up to a limit.
final class AddressCounter: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// False when the address is at its limit already.
    func enter(_ address: String, limit: Int) -> Bool {
        counts.withLock { counts in
            let count = counts[address, default: 0]
            guard count < limit else { return false }
            counts[address] = count + 1
            return true
        }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            let count = counts[address, default: 0] - 1
            counts[address] = count > 0 ? count : nil
        }
    }
}

/// Runs its body at the first `run`, whoever comes first, and at the latest when nobody is left who could.
final class OnlyOnce: Sendable {
    private let body: @Sendable () -> Void
    private let flag = Atomic(false)

    var hasRun: Bool { flag.load(ordering: .acquiring) }

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    deinit {
        run()
    }

    func run() {
        if !flag.exchange(true, ordering: .acquiringAndReleasing) { body() }
    }
}
