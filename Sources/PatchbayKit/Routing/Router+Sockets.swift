import PatchbayConfig
import PatchbayPlugin
import Signaling
import Synchronization
import WebSocket

/// Admission of signaling sockets.
extension Router {
    /// Sockets of one address at one tenant that have had no call yet.
    private static let idleSocketsPerAddress = 20

    /// Decides on a signaling socket. A refused credential is HTTP 403 without a body, which is what a socket closed
    /// before it was accepted looks like to the clients of this wire.
    @Sendable func upgrade(_ request: Request) async -> Upgrade {
        let deployment = served.current
        let request = request.seen(through: deployment.server.trustedProxies)
        guard let (tenant, path) = deployment.tenant(host: request.host, path: request.path) else {
            refuse("socket", .noTenant, request)
            return .refuse(Response(status: 403))
        }
        guard let attempt = SocketAttempt(request, tenant: tenant, path: path) else {
            refuse("socket", .noSocket, request, tenant)
            return .refuse(Response(status: 403))
        }
        var caller: Principal?
        func refused(_ denial: Denial, _ response: Response, by authInstance: String? = nil) -> Upgrade {
            var known = known(of: request, tenant, by: caller?.authInstance ?? authInstance)
            known["workflow"] = (caller?.workflowID ?? attempt.connect.workflowID).map(String.init)
            known["run"] = (caller?.workflowRunID ?? attempt.connect.workflowRunID).map(String.init)
            known["user"] = caller?.shownUser
            environment.refuse("socket", denial, network: request.remoteNetwork, known)
            return .refuse(response)
        }
        let isDraining = environment.registry.isDraining
        let restarting = Self.failure(503, "The server is about to restart")
        let target: SignalingSession.Target
        do throws(SocketAttempt.Refusal) {
            let principal = try await attempt.principal(logger: environment.logger)
            caller = principal
            target = try await attempt.target(of: principal, logger: environment.logger)
        } catch {
            if isDraining { return refused(.draining, restarting) }
            return refused(error.denial, error.response, by: error.unavailableInstance)
        }
        if isDraining, !isReturning(target, to: tenant) { return refused(.draining, restarting) }
        // Of the tenant: who waits at another must not be in the way.
        let address = "\(tenant.name)/\(request.remoteNetwork)"
        // A client that is gone by the time it is accepted never gets to the handler: its places then end with it.
        guard let waitingPlace = waiting.take(address, limit: Self.idleSocketsPerAddress) else {
            return refused(.tooManySockets, Self.failure(429, Denial.tooManySockets.message))
        }
        guard let tenantPlace = place(for: target, at: tenant) else {
            return refused(.tenantIsFull, Self.failure(429, Denial.tenantIsFull.message))
        }
        var place: SharedPlace?
        if target.principal.hasOneSocket {
            place = await onlyPlace(for: target, at: tenant)
            if place == nil { return refused(.inUse, Response(status: 403)) }
        }
        return .accept(subprotocol: Self.subprotocols(request).first) { [environment, served, target, place] socket in
            let client = SignalingSession.Client(
                send: { message, isDroppable in socket.send(message.text, droppable: isDroppable) },
                close: { code, reason in socket.startClose(code: code, reason: reason) },
                isLost: { await socket.isLost(after: SignalingSession.pongPatience) },
                isClosed: { await socket.isClosed() })
            place?.here.open(client)
            let session = SignalingSession(
                client: client, tenant: tenant, target: target, environment: environment,
                recheck: { try await served.current.recheck($0, of: tenant) },
                onFirstCall: { waitingPlace.run() })
            socket.every(SignalingSession.patience.beforeOffer) { Task { await session.closeIfIdle() } }
            if let place { socket.every(WorkflowRuns.claimLifetime / 3) { Task { await place.keep() } } }
            await session.run(socket.inbound)
            waitingPlace.run()
            await place?.leave()
            tenantPlace.run()
        }
    }

    /// The one place of a caller whose credential opens one socket at a time; nil where a socket has it that is alive, or that
    /// another gateway has not missed yet.
    private func onlyPlace(for target: SignalingSession.Target, at tenant: Tenant) async -> SharedPlace? {
        let name = CallRegistry.PeerName(tenant: tenant.name, principal: target.principal, pcID: "")
        guard let here = await single.take(name) else { return nil }
        let place = SharedPlace(here, of: name, in: single, target, tenant, gateway, environment.logger)
        guard await place.claim() else {
            await place.leave()
            return nil
        }
        return place
    }

    /// Whether it may be for a call whose socket is lost.
    private func isReturning(_ target: SignalingSession.Target, to tenant: Tenant) -> Bool {
        target.canReturn(to: tenant) && environment.registry.hasCall(of: target, tenant: tenant.name)
    }

    /// A socket's place among those of its tenant. Who returns finds the one that is lost still counted, so there are as many more
    /// for them as the tenant has calls.
    private func place(for target: SignalingSession.Target, at tenant: Tenant) -> OnlyOnce? {
        let registry = environment.registry
        let limit = tenant.limits.sockets ?? .max
        if let place = registry.sockets.take(tenant.name, limit: limit) { return place }
        guard isReturning(target, to: tenant) else { return nil }
        return registry.sockets.take(tenant.name, limit: limit + registry.calls(of: tenant.name))
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
        connect.remoteNetwork = request.remoteNetwork
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
