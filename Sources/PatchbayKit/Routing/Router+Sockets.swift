import Logging
import PatchbayConfig
import PatchbayPlugin
import Signaling
import Synchronization
import WebSocket

/// Admission of signaling sockets.
extension Router {
    /// Sockets of one address that have had no call yet.
    private static let idleSocketsPerAddress = 20

    /// Decides on a signaling socket. A refused credential is HTTP 403 without a body, which is what a socket closed
    /// before it was accepted looks like to the clients of this wire.
    @Sendable func upgrade(_ request: Request) async -> Upgrade {
        let deployment = served.current
        let request = request.seen(through: deployment.server.trustedProxies)
        guard let (tenant, path) = deployment.tenant(host: request.host, path: request.path),
            let route = SocketRoute(path)
        else { return .refuse(Response(status: 403)) }
        var connect = Self.credentials(of: request, tenant: tenant)
        switch route {
        case .signedIn(let workflow, let run): (connect.workflowID, connect.workflowRunID) = (workflow, run)
        case .embed(let session):
            connect.sessionToken = session
            // It is the credential here, whatever a proxy has added.
            (connect.bearerToken, connect.apiKey) = (nil, nil)
        }
        let isDraining = environment.registry.isDraining
        let restarting = Upgrade.refuse(Self.failure(503, "The server is about to restart"))
        var target: SignalingSession.Target
        do {
            target = try await self.target(of: route, connect, tenant)
            target.remoteAddress = request.remoteAddress
        } catch {
            return isDraining ? restarting : refuse(error, request, tenant)
        }
        // Who has a call may still return to it.
        if isDraining, !environment.registry.hasCall(of: target, tenant: tenant.name) { return restarting }
        let address = request.remoteNetwork
        guard waiting.enter(address, limit: Self.idleSocketsPerAddress) else {
            environment.registry.countRefusal("too_many_sockets")
            return .refuse(Self.failure(429, "Too many sockets without a call"))
        }
        // A client that is gone by the time it is accepted never gets to the handler: both then run at its end.
        let leave = OnlyOnce { [waiting] in waiting.leave(address) }
        let caller = CallRegistry.PeerName(tenant: tenant.name, principal: target.principal, pcID: "")
        var place: SingleSockets.Place?
        if target.principal.hasOneSocket {
            place = await single.take(caller)
            if place == nil { return refuse(.credential(Self.inUse), request, tenant) }
        }
        let leavePlace = OnlyOnce { [single, place] in
            if let place { single.leave(place, of: caller) }
        }
        return .accept(subprotocol: Self.subprotocols(request).first) { [environment, target, place] socket in
            environment.registry.sockets.add(1, ordering: .relaxed)
            let client = SignalingSession.Client(
                send: { message, isDroppable in socket.send(message.text, droppable: isDroppable) },
                close: { code, reason in socket.startClose(code: code, reason: reason) },
                isLost: { await socket.isLost(after: SignalingSession.pongPatience) },
                isClosed: { await socket.isClosed() })
            place?.open(client)
            let session = SignalingSession(
                client: client, tenant: tenant, target: target, environment: environment,
                onFirstCall: { leave.run() })
            socket.every(SignalingSession.patience.beforeOffer) { Task { await session.closeIfIdle() } }
            await session.run(socket.inbound)
            leave.run()
            leavePlace.run()
            environment.registry.sockets.subtract(1, ordering: .relaxed)
        }
    }

    /// What a socket's path asks for.
    private enum SocketRoute {
        case signedIn(workflow: Int, run: Int)
        case embed(session: String)

        init?(_ path: ArraySlice<String>) {
            guard path.starts(with: Router.prefix) else { return nil }
            let rest = Array(path.dropFirst(Router.prefix.count))
            if rest.count == 4, rest[..<2] == ["ws", "signaling"], let workflow = Int(rest[2]), let run = Int(rest[3]) {
                self = .signedIn(workflow: workflow, run: run)
            } else if rest.count == 4, rest[..<3] == ["ws", "public", "signaling"] {
                self = .embed(session: rest[3])
            } else {
                return nil
            }
        }
    }

    /// Why a socket is not let in.
    private enum Refused: Error {
        /// 403, without a word to the client.
        case credential(Denial)
        /// 400, with what is wrong with the run.
        case run(String)
        /// 503: nobody could tell.
        case unavailable(String)
    }

    private func target(
        of route: SocketRoute, _ connect: ConnectRequest, _ tenant: Tenant
    ) async throws(Refused) -> SignalingSession.Target {
        let principal: Principal
        switch await outcome(connect, tenant) {
        case .success(.accept(let accepted)): principal = accepted
        case .success(.reject(let denial)): throw .credential(denial)
        case .success(.pass): throw .credential(Self.noCredential)
        case .failure(let error):
            environment.logger.error(
                "authentication failed", metadata: ["tenant": "\(tenant.name)", "error": "\(error)"])
            throw .unavailable("Authentication is unavailable")
        }
        switch route {
        case .embed:
            guard let workflow = principal.workflowID, let run = principal.workflowRunID else {
                throw .credential(Self.mismatch)
            }
            return SignalingSession.Target(principal: principal, workflowID: workflow, workflowRunID: run)
        case .signedIn(let workflow, let run):
            guard principal.workflowID ?? workflow == workflow, principal.workflowRunID ?? run == run else {
                throw .credential(Self.mismatch)
            }
            try await check(run, of: workflow, principal, tenant)
            return SignalingSession.Target(principal: principal, workflowID: workflow, workflowRunID: run)
        }
    }

    private func outcome(_ connect: ConnectRequest, _ tenant: Tenant) async -> Result<AuthOutcome, any Error> {
        do { return .success(try await tenant.authenticate(connect)) } catch { return .failure(error) }
    }

    /// Whether the caller may call this run of this workflow. A run that is over is let in: its offer hears of it.
    private func check(
        _ id: Int, of workflow: Int, _ principal: Principal, _ tenant: Tenant
    ) async throws(Refused) {
        if tenant.runsAreRegistered, principal.organization == nil { throw .run("No organization selected") }
        let run: WorkflowRun?
        do {
            run = try await tenant.runs.find(id, owner: principal.runOwner)
        } catch {
            environment.logger.error("the store could not look up a run", metadata: ["error": "\(error)"])
            throw .unavailable("Runs are unavailable")
        }
        if let run {
            guard run.workflowID == workflow else { throw .run("workflow_run_workflow_mismatch") }
        } else if tenant.runsAreRegistered {
            throw .run("Bad workflow_run_id")
        }
    }

    private static let noCredential = Denial(code: "no_credential", message: "No auth instance knows the credential")
    private static let mismatch = Denial(
        code: "workflow_run_workflow_mismatch", message: "The credential is for another workflow or run")

    private static let inUse = Denial(
        code: "session_in_use", message: "The credential opens one socket at a time, and that is open")

    private func refuse(_ refused: Refused, _ request: Request, _ tenant: Tenant) -> Upgrade {
        let (response, code, reason): (Response, String, String) =
            switch refused {
            case .credential(let denial): (Response(status: 403), denial.code, denial.message)
            case .run(let detail): (Self.failure(400, detail), "bad_run", detail)
            case .unavailable(let detail): (Self.failure(503, detail), "unavailable", detail)
            }
        environment.registry.countRefusal(code)
        environment.logger.info(
            "socket refused",
            metadata: [
                "reason": "\(reason)", "code": "\(code)", "tenant": "\(tenant.name)",
                "address": "\(request.remoteAddress)",
            ])
        return .refuse(response)
    }

    /// What a request shows to say who it is from.
    static func credentials(of request: Request, tenant: Tenant, readsQuery: Bool = true) -> ConnectRequest {
        var connect = ConnectRequest(tenant: tenant.name, runs: tenant.runs)
        let query = readsQuery ? request.query.filter { !$0.value.isEmpty } : [:]
        connect.bearerToken =
            query["token"] ?? bearer(request.headers["authorization"]) ?? subprotocols(request).dropFirst().first
        connect.apiKey = query["api_key"] ?? request.headers["x-api-key"]
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
}
