import Logging
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
        guard let (tenant, path) = deployment.tenant(host: request.host, path: request.path),
            let attempt = SocketAttempt(request, tenant: tenant, path: path)
        else { return .refuse(Response(status: 403)) }
        let isDraining = environment.registry.isDraining
        let restarting = Upgrade.refuse(Self.failure(503, "The server is about to restart"))
        let target: SignalingSession.Target
        do {
            target = try await attempt.target(logger: environment.logger)
        } catch {
            return isDraining ? restarting : refuse(error, request, tenant)
        }
        // Who has a call may still return to it.
        if isDraining, !environment.registry.hasCall(of: target, tenant: tenant.name) { return restarting }
        // Of the tenant: who waits at another must not be in the way.
        let address = "\(tenant.name)/\(request.remoteNetwork)"
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

    private static let inUse = Denial(
        code: "session_in_use", message: "The credential opens one socket at a time, and that is open")

    private func refuse(_ refusal: SocketAttempt.Refusal, _ request: Request, _ tenant: Tenant) -> Upgrade {
        let denial = refusal.denial
        environment.registry.countRefusal(denial.code)
        environment.logger.info(
            "socket refused",
            metadata: [
                "reason": "\(denial.message)", "code": "\(denial.code)", "tenant": "\(tenant.name)",
                "address": "\(request.remoteAddress)",
            ])
        return .refuse(refusal.response)
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
