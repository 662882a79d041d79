import Foundation
import Logging
import Media
import PatchbayConfig
import PatchbayPlugin
import Signaling
import WebSocket
import Wire

/// One signaling socket and the calls on it. When the socket is closed, they end; when it is lost, they wait for their
/// caller to return on another.
actor SignalingSession {
    /// The way to the client.
    struct Client: Sendable {
        /// Queues a message; a droppable one is dropped when too many wait already.
        var send: @Sendable (_ message: ServerMessage, _ isDroppable: Bool) -> Void
        /// Starts to close the socket.
        var close: @Sendable (_ code: UInt16, _ reason: String) -> Void
        /// Whether the socket is lost; asks the client when nobody knows.
        var isLost: @Sendable () async -> Bool
        /// Whether the socket is closed, or closing.
        var isClosed: @Sendable () async -> Bool = { false }
    }

    /// Who calls what.
    struct Target: Sendable {
        var principal: Principal
        var workflowID: Int
        var workflowRunID: Int
        var caller = CallerPlace()

        /// Whether a call of it waits for its caller when its socket is lost. Of callers whom nobody knows, one cannot be told from
        /// another.
        func canReturn(to tenant: Tenant) -> Bool { tenant.limits.grace > .zero && principal.authInstance != nil }
    }

    nonisolated let client: Client
    private let tenant: Tenant
    private let target: Target
    private let environment: CallSupervisor.Environment
    private let recheck: @Sendable (Principal) async throws -> Denial?
    private let onFirstCall: @Sendable () -> Void
    /// By `pc_id`.
    private var calls: [String: CallSupervisor] = [:]
    private var hasOffered = false
    /// Nothing is read any more.
    private var isClosing = false
    /// Since when there has been no call; nil while there is one, or one is being placed.
    private var idleSince: ContinuousClock.Instant? = .now

    /// How long a socket may be without a call: before it has offered one, and after.
    static let patience = (beforeOffer: Duration.seconds(15), afterOffer: Duration.seconds(60))
    /// How long the questions of an offer may take together, of what calls are counted in. It is to be answered within 2 s.
    static let offerPatience = Duration.milliseconds(1_700)
    /// How long a client may take to say that it is there, when its caller asks for a call of it on another socket.
    static let pongPatience = Duration.seconds(2)

    /// - Parameters:
    ///   - recheck: why the caller is no longer let in, if it is not; by default the tenant says it.
    ///   - onFirstCall: the socket has shown what it is for.
    init(
        client: Client, tenant: Tenant, target: Target, environment: CallSupervisor.Environment,
        recheck: (@Sendable (Principal) async throws -> Denial?)? = nil,
        onFirstCall: @escaping @Sendable () -> Void = {}
    ) {
        self.client = client
        self.tenant = tenant
        self.target = target
        self.environment = environment
        self.recheck = recheck ?? { try await tenant.recheck($0) }
        self.onFirstCall = onFirstCall
    }

    /// Serves the socket until it closes. Then no call of it is left, unless the socket was lost.
    func run(_ inbound: some AsyncSequence<WebSocketConnection.Inbound, Never> & Sendable) async {
        var reason = "socket_closed"
        reading: for await message in inbound {
            switch message {
            case .text(let text): await receive(ClientMessage(text))
            case .binary: await receive(.malformed(reason: "binary messages are not part of the protocol"))
            case .closed(let code, _):
                if code == 1006, target.canReturn(to: tenant) { lose() }
                // As the server itself closes a socket, in its last moments.
                if code == 1012, environment.registry.isDraining { reason = "server_stopped" }
                break reading
            }
        }
        for call in calls.values { call.hangUp(reason: reason) }
        for call in calls.values { await call.client.untilOver() }
    }

    /// The socket is lost: its calls go on without it for a while.
    func lose() {
        isClosing = true
        let end = ContinuousClock.now + tenant.limits.grace
        for call in calls.values {
            environment.logger.info("socket lost; the call waits for its caller", metadata: call.logMetadata)
            call.client.leave(self, until: end)
        }
        calls = [:]
    }

    /// Closes a socket that has been without a call for too long. To be called every `patience.beforeOffer`.
    func closeIfIdle() {
        guard let idleSince else { return }
        let limit = hasOffered ? Self.patience.afterOffer : Self.patience.beforeOffer
        if ContinuousClock.now - idleSince >= limit { close(1008, "no call") }
    }

    /// Does what one message asks for; the next one waits for that.
    func receive(_ message: ClientMessage) async {
        if isClosing { return }
        switch message {
        case .offer(let pcID, let sdp, let type, let context):
            hasOffered = true
            guard type == "offer" else { return reply(.error(message: "Expected a description of type offer")) }
            await Patience.of(Self.offerPatience) { await offer(pcID: pcID, sdp: sdp, context: context) }
        case .missingOfferFields:
            refuse("offer", Denial(code: "missing_offer_fields", message: "Missing offer fields"))
            reply(.error(message: "Missing offer fields"))
        case .iceCandidate(let pcID, let candidate):
            guard let media = await call(pcID)?.media else { return }
            switch candidate {
            case .some(let text, _, _, _): media.addRemoteCandidate(text)
            case .endOfCandidates: media.endOfRemoteCandidates()
            }
        case .renegotiate(let pcID, let sdp, _, let restartPC):
            guard let call = await call(pcID) else { return reply(.error(message: "Peer connection not found")) }
            await renegotiate(call, pcID: pcID, sdp: sdp, restarts: restartPC)
        case .getStatistics(let pcID): await tellStatistics(pcID: pcID)
        case .forPipeline(let message): for call in calls.values { call.receive(message) }
        case .ignored: break
        case .malformed(let reason): refuse(reason)
        }
    }

    /// What no client of the protocol sends: it is told why, and the socket closes.
    private func refuse(_ reason: String) {
        refuse("message", Denial(code: "malformed_message", message: reason))
        reply(.error(message: "Malformed message: \(reason)"))
        close(1007, "malformed message")
    }

    private func close(_ code: UInt16, _ reason: String) {
        isClosing = true
        client.close(code, reason)
    }

    /// How the call goes, for its own client.
    private func tellStatistics(pcID: String) async {
        guard let call = await call(pcID) else { return reply(.error(message: "Peer connection not found")) }
        let statistics = await call.statistics()
        // The call may have ended in the meantime, and `call-ended` is the last message.
        if isClosing { return }
        reply(.statistics(pcID: pcID, statistics?.figures ?? [:]))
    }

    /// The call of that name, when it is on this socket or comes to it, because its caller is back after the loss of
    /// another.
    private func call(_ pcID: String) async -> CallSupervisor? {
        if let call = calls[pcID] { return call }
        let name = CallRegistry.PeerName(tenant: tenant.name, principal: target.principal, pcID: pcID)
        guard target.canReturn(to: tenant), let client = environment.registry.client(name), client.isCall(of: target)
        else {
            return nil
        }
        await client.settle()
        // Since then this socket may have been closed, or another have been quicker.
        guard !isClosing, let call = client.take(by: self) else { return nil }
        environment.logger.info("the caller is back", metadata: call.logMetadata)
        calls[pcID] = call
        (hasOffered, idleSince) = (true, nil)
        onFirstCall()
        return call
    }

    // MARK: - Offers

    private func offer(pcID: String, sdp: String, context: [String: JSONValue]?) async {
        if let denial = await withdrawal() { return deny(denial) }
        guard let call = await call(pcID) else { return await place(pcID: pcID, sdp: sdp, context: context) }
        do {
            try await call.recheck(request(callID: call.id))
        } catch {
            return deny(error)
        }
        await renegotiate(call, pcID: pcID, sdp: sdp, restarts: false)
    }

    /// Why the caller is no longer let in, if it is not.
    private func withdrawal() async -> Denial? {
        do {
            return try await recheck(target.principal)
        } catch {
            let failure = Tenant.AuthFailure(instance: target.principal.authInstance ?? "", cause: error)
            environment.logger.report(failure, of: tenant)
            return .callerUnknown
        }
    }

    private func renegotiate(_ call: CallSupervisor, pcID: String, sdp: String, restarts: Bool) async {
        do {
            let answer =
                if restarts { try await call.restart(offer: sdp) } else { try await call.media.answer(offer: sdp) }
            reply(answer: answer, pcID: pcID)
        } catch {
            report(error)
        }
    }

    private func place(pcID: String, sdp: String, context: [String: JSONValue]?) async {
        // An offer that comes to nothing does not make the socket live longer.
        let idle = idleSince
        idleSince = nil
        defer { if calls.isEmpty { idleSince = idle } }
        do {
            let admission = try await Admission(
                request(callID: UUID().uuidString.lowercased()), pcID: pcID, tenant: tenant, environment: environment)
            let (call, answer) = try await CallSupervisor.answer(
                offer: sdp, admission, tenant: tenant, context: contextVariables(adding: context),
                from: target.caller, environment: environment)
            onFirstCall()
            // Before the pipeline runs: it may have something to send at once.
            reply(answer: answer, pcID: pcID)
            calls[pcID] = call
            call.client.begin(on: self, call)
            Task { await call.client.end(call, call.run()) }
        } catch Refusal.denied(let denial) {
            deny(denial)
        } catch Refusal.alreadyOwned {
            refuse("offer", Denial(code: "already_owned", message: "Peer connection already owned"))
            reply(.error(message: "Peer connection already owned"))
        } catch {
            report(error)
        }
    }

    /// The call's media or pipeline is over while the socket may live: the client is told, and the socket closes.
    func callEnded(pcID: String, callID: String, _ end: CallEnd) {
        guard calls[pcID]?.id == callID else { return }
        calls[pcID] = nil
        if calls.isEmpty { idleSince = .now }
        reply(.callEnded(runID: target.workflowRunID, pcID: pcID, reason: end.reason, detail: end.detail))
        close(1000, "call ended")
    }

    private func request(callID: String) -> CallRequest {
        CallRequest(
            callID: callID, tenant: tenant.name, principal: target.principal, workflowID: target.workflowID,
            workflowRunID: target.workflowRunID)
    }

    private func contextVariables(adding added: [String: JSONValue]?) -> [String: JSONValue] {
        var variables = target.principal.contextVariables
        if target.principal.mayAddContext, let added {
            variables.merge(added.filter { !Call.reservedVariables.contains($0.key) }) { known, _ in known }
        }
        return variables
    }

    // MARK: - Replies

    private func reply(_ message: ServerMessage) {
        client.send(message, false)
    }

    /// Where all our candidates stand in the answer, that is said behind it.
    private func reply(answer: Answer, pcID: String) {
        reply(.answer(pcID: pcID, sdp: answer.sdp))
        if !answer.isGathering { reply(.iceCandidate(pcID: pcID, nil)) }
    }

    private func deny(_ denial: Denial) {
        refuse("offer", denial)
        reply(.error(message: denial.message, errorType: denial.code))
    }

    private func report(_ error: any Error) {
        refuse("offer", Denial(code: "offer_not_answered", message: "\(error)"))
        reply(.error(message: "The offer could not be answered: \(error)"))
    }

    /// Counts what is refused and writes it down.
    private func refuse(_ what: String, _ denial: Denial) {
        environment.refuse(
            what, denial, network: target.caller.network,
            [
                "tenant": tenant.name, "auth": target.principal.authInstance, "workflow": "\(target.workflowID)",
                "run": "\(target.workflowRunID)", "address": target.caller.address, "origin": target.caller.page,
                "user": target.principal.shownUser,
            ])
    }
}
