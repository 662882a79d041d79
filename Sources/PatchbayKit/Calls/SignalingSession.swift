import Foundation
import Logging
import Media
import PatchbayPlugin
import Signaling
import WebRTC

/// One signaling socket and the calls on it. When the socket goes, they go.
actor SignalingSession {
    private struct LiveCall {
        var supervisor: CallSupervisor
        var running: Task<Void, Never>
    }

    private let socket: WebSocketConnection
    private let tenant: Tenant
    private let principal: Principal
    private let workflowID: Int
    private let workflowRunID: Int
    private let environment: CallSupervisor.Environment
    /// By `pc_id`, which is this socket's own.
    private var calls: [String: LiveCall] = [:]
    private var hasOffered = false
    /// Since when there has been no call; nil while there is one, or one is being placed.
    private var idleSince: ContinuousClock.Instant? = .now
    private let onFirstCall: @Sendable () -> Void

    /// How long a socket may be without a call: before it has offered one, and after.
    private static let patience = (beforeOffer: Duration.seconds(15), afterOffer: Duration.seconds(60))

    /// - Parameter onFirstCall: the socket has shown what it is for.
    init(
        socket: WebSocketConnection, tenant: Tenant, principal: Principal, workflowID: Int, workflowRunID: Int,
        environment: CallSupervisor.Environment, onFirstCall: @escaping @Sendable () -> Void
    ) {
        self.socket = socket
        self.tenant = tenant
        self.principal = principal
        self.workflowID = workflowID
        self.workflowRunID = workflowRunID
        self.environment = environment
        self.onFirstCall = onFirstCall
    }

    /// Serves the socket until it closes; then no call of it is left.
    func run() async {
        let watch = Task {
            while true {
                do { try await Task.sleep(for: Self.patience.beforeOffer) } catch { return }
                closeIfIdle()
            }
        }
        reading: for await message in socket.inbound {
            switch message {
            case .text(let text): await handle(ClientMessage(text))
            case .binary: refuse("binary messages are not part of the protocol")
            case .closed: break reading
            }
        }
        watch.cancel()
        for call in calls.values { call.supervisor.hangUp(reason: "socket_closed") }
        for call in calls.values { await call.running.value }
    }

    private func closeIfIdle() {
        guard let idleSince else { return }
        let limit = hasOffered ? Self.patience.afterOffer : Self.patience.beforeOffer
        if ContinuousClock.now - idleSince >= limit {
            socket.startClose(code: 1008, reason: "no call")
        }
    }

    private func handle(_ message: ClientMessage) async {
        switch message {
        case .offer(let pcID, let sdp, let type, let context):
            hasOffered = true
            guard type == "offer" else { return reply(.error(message: "Expected a description of type offer")) }
            await offer(pcID: pcID, sdp: sdp, context: context)
        case .missingOfferFields:
            environment.registry.countRefusal("missing_offer_fields")
            reply(.error(message: "Missing offer fields"))
        case .iceCandidate(let pcID, let candidate):
            guard let call = calls[pcID] else { return }
            switch candidate {
            case .some(let text, _, _, _): call.supervisor.media.addRemoteCandidate(text)
            case .endOfCandidates: call.supervisor.media.endOfRemoteCandidates()
            }
        case .renegotiate(let pcID, let sdp, _, let restartPC):
            guard let call = calls[pcID] else { return reply(.error(message: "Peer connection not found")) }
            if restartPC {
                calls[pcID] = nil
                call.supervisor.hangUp(reason: "restarted")
                await call.running.value
                await place(pcID: pcID, sdp: sdp, context: nil)
            } else {
                await renegotiate(call, pcID: pcID, sdp: sdp)
            }
        case .ignored: break
        case .malformed(let reason): refuse(reason)
        }
    }

    /// What no client of the protocol sends: it is told why, and the socket closes.
    private func refuse(_ reason: String) {
        environment.registry.countRefusal("malformed_message")
        reply(.error(message: "Malformed message: \(reason)"))
        socket.startClose(code: 1007, reason: "malformed message")
    }

    // MARK: - Offers

    private func offer(pcID: String, sdp: String, context: [String: JSONValue]?) async {
        guard let call = calls[pcID] else { return await place(pcID: pcID, sdp: sdp, context: context) }
        // Quotas are asked for every offer; a live call's lease is the same one.
        do {
            try await call.supervisor.recheck(request(callID: call.supervisor.id))
        } catch {
            return deny(error)
        }
        await renegotiate(call, pcID: pcID, sdp: sdp)
    }

    private func renegotiate(_ call: LiveCall, pcID: String, sdp: String) async {
        do {
            let answer = try await call.supervisor.media.answer(offer: sdp)
            reply(.answer(pcID: pcID, sdp: answer))
        } catch {
            report(error)
        }
    }

    private func place(pcID: String, sdp: String, context: [String: JSONValue]?) async {
        idleSince = nil
        defer { if calls.isEmpty { idleSince = .now } }
        let request = request(callID: UUID().uuidString.lowercased())
        let leases: LeaseHolder
        do {
            leases = try await LeaseHolder.admit(
                request, quotas: tenant.quotas, registry: environment.registry, logger: environment.logger)
        } catch {
            return deny(error)
        }
        let name = CallRegistry.PeerName(tenant: tenant.name, pcID: pcID)
        guard environment.registry.claim(name) else {
            await leases.release(usage: CallUsage(duration: .zero), registry: environment.registry)
            return reply(.error(message: "Peer connection already owned"))
        }
        do {
            let (supervisor, answer) = try await CallSupervisor.answer(
                offer: sdp, request, tenant: tenant, context: contextVariables(adding: context), leases: leases,
                environment: environment,
                sendToClient: { [socket] event in
                    let message = ServerMessage.event(type: event.type, payload: event.payload)
                    socket.send(message.text, droppable: true)
                })
            let running = Task {
                let reason = await supervisor.run()
                environment.registry.giveBack(name)
                self.callEnded(pcID: pcID, callID: supervisor.id, reason: reason)
            }
            calls[pcID] = LiveCall(supervisor: supervisor, running: running)
            onFirstCall()
            reply(.answer(pcID: pcID, sdp: answer))
            // All our candidates stood in the answer.
            reply(.iceCandidate(pcID: pcID, nil))
        } catch {
            environment.registry.giveBack(name)
            report(error)
        }
    }

    /// The call's media or pipeline is over while the socket may live: the client is told, and the socket closes.
    private func callEnded(pcID: String, callID: String, reason: String) {
        guard calls[pcID]?.supervisor.id == callID else { return }
        calls[pcID] = nil
        idleSince = calls.isEmpty ? .now : nil
        reply(.callEnded(runID: workflowRunID, pcID: pcID, reason: reason))
        socket.startClose(code: 1000, reason: "call ended")
    }

    private func request(callID: String) -> CallRequest {
        CallRequest(
            callID: callID, tenant: tenant.name, principal: principal, workflowID: workflowID,
            workflowRunID: workflowRunID)
    }

    private func contextVariables(adding added: [String: JSONValue]?) -> [String: JSONValue] {
        let reserved: Set = ["provider", "runtime_configuration", "mps_correlation_id"]
        var variables = principal.contextVariables
        if principal.mayAddContext, let added {
            variables.merge(added.filter { !reserved.contains($0.key) }) { _, fromClient in fromClient }
        }
        return variables
    }

    // MARK: - Replies

    private func reply(_ message: ServerMessage) {
        socket.send(message.text)
    }

    private func deny(_ denial: Denial) {
        environment.registry.countRefusal(denial.code)
        reply(.error(message: denial.message, errorType: denial.code))
    }

    private func report(_ error: any Error) {
        environment.registry.countRefusal("offer_not_answered")
        reply(.error(message: "The offer could not be answered: \(error)"))
    }
}
