import Audio
import ICE
import Logging
import Media
import PatchbayConfig
import PatchbayPlugin
import Signaling
import Synchronization
import WebRTC
import Wire

/// One call: its media, its pipeline, its leases, and the end of all three together, whichever ends first.
///
/// The media path never waits for the pipeline: a pipeline that ignores its cancellation loses its call all the same.
struct CallSupervisor: Sendable {
    /// What a call needs from the process.
    struct Environment: Sendable {
        var media: any MediaHost
        var registry: CallRegistry
        var logger: Logger
        /// For what callers who are refused leave in the log.
        var refusals = LogBudget()
        /// The time by which those lines are counted.
        var now: @Sendable () -> Duration = { [start = ContinuousClock.now] in ContinuousClock.now - start }
    }

    /// Something that may end the call.
    private enum Signal: Sendable {
        /// Of the n-th peer connection.
        case media(leg: Int, PeerConnection.Event)
        case pipelineReturned(failure: String?)
        case hangUp(reason: String)
        /// By a quota that admitted the call before.
        case denied(Denial)
    }

    let id: String
    private let legs: MediaLegs
    private let settings: CallSettings
    private let signals: AsyncStream<Signal>
    private let send: AsyncStream<Signal>.Continuation
    private let environment: Environment
    private let tenant: Tenant
    private let call: Call
    private let admission: Admission
    private let events: EventBus
    private let keys: AsyncStream<Character>.Continuation
    private let fromClient: AsyncStream<JSONValue>.Continuation
    private let started = ContinuousClock.now
    /// Set before anything is given back.
    private let isOver: OnlyOnce

    /// Answers an offer. The call has what it was admitted with, and holds it until `run` returns.
    ///
    /// - Throws: `PeerConnectionError` for an offer that cannot be answered; everything is given back then.
    static func answer(
        offer: String, _ admission: Admission, tenant: Tenant, context: [String: JSONValue],
        from caller: CallerPlace = CallerPlace(), environment: Environment
    ) async throws -> (CallSupervisor, answer: Answer) {
        let request = admission.request
        let pipeline = tenant.pipeline(forWorkflow: request.workflowID)
        let format = pipeline.plugin.audio
        let (signals, send) = AsyncStream<Signal>.makeStream()
        var settings = CallSettings(
            inputRate: format.inputRate, outputRate: format.outputRate,
            input: PCMInputQueue(frameSize: format.inputRate / 50),
            output: PlayoutQueue(rate: format.outputRate, capacity: pipeline.plugin.playoutLimit),
            keeps: { tenant.keeps($0, $1 == .inbound ? .inbound : .outbound) },
            connectTimeout: tenant.limits.connect)
        settings.onlyRelays = tenant.onlyRelays
        settings.signalingHost = SocketAddress(caller.address, port: 0)
        let leg: any MediaLeg
        let answer: Answer
        do {
            (leg, answer) = try await environment.media.place(offer: offer, settings) { event in
                send.yield(.media(leg: 0, event))
            }
        } catch {
            await admission.release(usage: CallUsage(duration: .zero), runEnds: false)
            throw error
        }
        await admission.begin()
        var logger = environment.logger
        logger[metadataKey: "call"] = "\(request.callID)"
        logger[metadataKey: "tenant"] = "\(request.tenant)"
        logger[metadataKey: "pipeline"] = "\(pipeline.name)"
        logger[metadataKey: "workflow"] = "\(request.workflowID)"
        logger[metadataKey: "run"] = "\(request.workflowRunID)"
        if let auth = request.principal.authInstance { logger[metadataKey: "auth"] = "\(auth)" }
        if let user = request.principal.shownUser { logger[metadataKey: "user"] = "\(user)" }
        if !caller.address.isEmpty { logger[metadataKey: "address"] = "\(caller.address)" }
        if let page = caller.page { logger[metadataKey: "origin"] = "\(page)" }
        let isOver = OnlyOnce {}
        let (dtmf, keys) = AsyncStream<Character>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let (messages, fromClient) = AsyncStream<JSONValue>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let events = EventBus(exposure: tenant.exposure(to: request.principal)) { [client = admission.client] message in
            client.send(message, isDroppable: true)
        }
        let call = Call(
            id: request.callID, tenant: request.tenant, principal: request.principal, workflowID: request.workflowID,
            workflowRunID: request.workflowRunID, contextVariables: context,
            leaseMetadata: admission.leases.metadata, logger: logger, dtmf: dtmf, messages: messages,
            host: Call.Host(
                report: { events.report($0) }, events: { events.follow() }, send: { events.forward($0) },
                hangUp: { reason in send.yield(.hangUp(reason: reason)) }))
        let legs = MediaLegs(leg)
        let supervisor = CallSupervisor(
            id: request.callID, legs: legs, settings: settings, signals: signals, send: send,
            environment: environment, tenant: tenant, call: call, admission: admission, events: events,
            keys: keys, fromClient: fromClient, isOver: isOver)
        environment.registry.add(
            CallRegistry.Entry(
                id: request.callID, tenant: request.tenant, workflowID: request.workflowID,
                workflowRunID: request.workflowRunID, principal: request.principal, from: caller,
                pipeline: pipeline.name, state: "connecting", client: admission.client,
                leg: { legs.current.leg }))
        return (supervisor, answer)
    }

    var logMetadata: Logger.Metadata { ["call": "\(id)", "tenant": "\(call.tenant)"] }

    /// Where the call's client is.
    var client: CallClient { admission.client }

    /// The peer connection that the call has now.
    var media: any MediaLeg { legs.current.leg }

    /// How the peer connection that the call has now has gone so far; nil when it is over, or does not answer within 1
    /// s.
    func statistics() async -> CallStatistics? {
        await media.statistics(within: .seconds(1))
    }

    /// Gives the call a new peer connection in place of the old one; pipeline, leases and run go on.
    ///
    /// - Throws: `PeerConnectionError`; the call then keeps the peer connection that it has.
    func restart(offer: String) async throws -> Answer {
        let number = legs.nextNumber()
        let (leg, answer) = try await environment.media.place(offer: offer, settings) { [send] event in
            send.yield(.media(leg: number, event))
        }
        let former = legs.replace(by: leg, number: number)
        former.close()
        if isOver.hasRun {
            leg.close()
            throw PeerConnectionError.ended
        }
        environment.registry.set("connecting", of: id)
        return answer
    }

    /// Hands a message of the client to the pipeline; one that sees not everything has nothing to say there.
    func receive(_ message: JSONValue) {
        if tenant.exposure(to: call.principal) == .all { fromClient.yield(message) }
    }

    /// Ends the call, from outside. `run` then returns.
    func hangUp(reason: String) {
        send.yield(.hangUp(reason: reason))
    }

    /// Asks the quotas again, for a later offer of the same call.
    ///
    /// - Throws: the `Denial`.
    func recheck(_ request: CallRequest) async throws(Denial) {
        try await admission.leases.recheck(
            request, tenant.quotas(.everyOffer), isOver: { isOver.hasRun }, logger: call.logger)
    }

    /// Lives the call's life.
    ///
    /// - Returns: why it ended, in the words of the wire: `peer_connection_closed`, `pipeline_finished`,
    ///   `pipeline_failed`, `time_limit`, `idle`, `socket_lost`, or what the pipeline, the socket or a quota said.
    func run() async -> CallEnd {
        let pipeline = tenant.pipeline(forWorkflow: call.workflowID).plugin
        let sound = PipelineAudio(
            input: settings.input, output: settings.output, inputRate: pipeline.audio.inputRate, events: events)
        let listening = Task { await sound.follow() }
        let pipelineTask = Task(executorPreference: PipelineExecutor.shared) { [call, send] in
            do {
                try await pipeline.run(call, audio: sound.audio)
                // What was queued last is still to be heard.
                await settings.output.drained()
                send.yield(.pipelineReturned(failure: nil))
            } catch is CancellationError {
                send.yield(.pipelineReturned(failure: nil))
            } catch {
                send.yield(.pipelineReturned(failure: "\(error)"))
            }
        }
        let timers = Task { await runTimers() }
        var end = await untilTheEnd()
        if end.statistics == nil { end.statistics = await self.statistics() }
        isOver.run()
        events.tell(.ended(reason: end.reason))
        timers.cancel()
        listening.cancel()
        pipelineTask.cancel()
        media.close()
        settings.input.finish()
        settings.output.finish()
        keys.finish()
        fromClient.finish()
        environment.registry.remove(id)
        // A renewal that is under way must not come after the release.
        await timers.value
        let duration = ContinuousClock.now - started
        await admission.release(usage: CallUsage(duration: duration), runEnds: true)
        var metadata = end.statistics?.metadata ?? [:]
        metadata["reason"] = "\(end.reason)"
        if !end.wasConnected { metadata["media"] = "never connected" }
        metadata["duration_ms"] = "\(duration.nanoseconds / 1_000_000)"
        call.logger.info("call ended", metadata: metadata)
        return end
    }

    /// Renewals, and the limits of the call's length, of its silence and of its client's absence, until cancelled.
    private func runTimers() async {
        async let renewals: Void = admission.keepAlive(logger: call.logger) { [send] in send.yield(.denied($0)) }
        let now = ContinuousClock.now
        let end = now + min(tenant.limits.call, admission.leases.maximumDuration ?? tenant.limits.call)
        var (spoken, quietSince) = (0, now)
        // In short steps: a sleep that is cancelled keeps its memory until it would have ended.
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let spokenNow = settings.input.spoken + settings.output.spoken
            if spokenNow != spoken || settings.output.isSpeaking { (spoken, quietSince) = (spokenNow, now) }
            if client.abandon(at: now) != nil {
                send.yield(.hangUp(reason: "socket_lost"))
                break
            }
            let deadline = min(end, quietSince + tenant.limits.idle)
            if now >= deadline {
                send.yield(.hangUp(reason: now >= end ? "time_limit" : "idle"))
                break
            }
            try? await Task.sleep(until: min(deadline, client.awaitedUntil ?? deadline, now + .seconds(1)))
        }
        await renewals
    }

    /// Why the call is over, and how it went where the media was over first.
    private func untilTheEnd() async -> CallEnd {
        var end = CallEnd(reason: "cancelled")
        for await signal in signals {
            switch signal {
            // What a new one says may come before it is the current one.
            case .media(let leg, _) where leg < legs.current.number: continue
            case .media(_, .connected):
                environment.registry.set("connected", of: id)
                call.logger.info("call connected")
                end.wasConnected = true
            case .media(_, .disconnected): environment.registry.set("disconnected", of: id)
            case .media(_, .reconnected): environment.registry.set("connected", of: id)
            case .media(_, .keyPress(let key)):
                keys.yield(key)
                events.tell(.keyPressed(key))
            case .media(_, .localCandidate(let candidate)):
                client.send(.iceCandidate(pcID: client.name.pcID, candidate.map(ServerMessage.Candidate.init)))
            case .media(_, .noRelay):
                call.logger.warning("only relays may be used for this call, and no TURN server relays to this gateway")
                client.send(.error(message: Denial.noRelay.message, errorType: Denial.noRelay.code))
            case .media(_, .ended(let reason, let statistics)):
                call.logger.info("media ended", metadata: ["reason": "\(reason)"])
                end.reason = "peer_connection_closed"
                end.statistics = statistics
                if ![.closed, .closedByPeer].contains(reason) { end.detail = "\(reason)" }
                return end
            case .pipelineReturned(nil):
                end.reason = "pipeline_finished"
                return end
            case .pipelineReturned(let failure?):
                call.logger.error("pipeline failed", metadata: ["error": "\(failure)"])
                end.reason = "pipeline_failed"
                return end
            case .hangUp(let reason):
                end.reason = reason
                return end
            case .denied(let denial):
                (end.reason, end.detail) = (denial.code, denial.message)
                return end
            }
        }
        return end
    }
}

extension Principal {
    /// The user for operators; nil for one whom nobody knows, and for a visitor, whose id is a token.
    var shownUser: String? { authInstance == nil || isVisitor ? nil : String(id.unicodeScalars.prefix(256)) }
}

/// How a call ended.
struct CallEnd: Sendable {
    /// In the words of the wire.
    var reason: String
    /// What went wrong, for people; nil where nothing did.
    var detail: String?
    /// Of the media, where it was over first.
    var statistics: CallStatistics?
    var wasConnected = false
}

/// The peer connections a call has had; the last is the one it has.
private final class MediaLegs: Sendable {
    private let state: Mutex<(leg: any MediaLeg, number: Int, made: Int)>

    init(_ leg: any MediaLeg) {
        state = Mutex((leg, 0, 1))
    }

    var current: (leg: any MediaLeg, number: Int) {
        state.withLock { ($0.leg, $0.number) }
    }

    func nextNumber() -> Int {
        state.withLock { state in
            defer { state.made += 1 }
            return state.made
        }
    }

    /// The one it had before.
    func replace(by leg: any MediaLeg, number: Int) -> any MediaLeg {
        state.withLock { state in
            defer { (state.leg, state.number) = (leg, number) }
            return state.leg
        }
    }
}

extension Tenant {
    /// Whether the policy for candidates that go this way keeps one.
    func keeps(_ candidate: ICE.Candidate, _ direction: Direction) -> Bool {
        guard let candidate = PatchbayPlugin.Candidate(candidate) else { return true }
        return direction == .inbound ? inbound.keeps(candidate, .inbound) : outbound.keeps(candidate, .outbound)
    }
}

extension PatchbayPlugin.Candidate {
    fileprivate init?(_ candidate: ICE.Candidate) {
        let (address, port): (String, UInt16) =
            switch candidate.address {
            case .ip(let address): (address.host, address.port)
            case .name(let name, let port): (name, port)
            }
        guard let kind = Kind(rawValue: candidate.kind.rawValue) else { return nil }
        self.init(kind: kind, address: address, port: port, transport: candidate.transport.rawValue)
    }
}

extension ServerMessage.Candidate {
    fileprivate init(_ candidate: PeerConnection.TrickledCandidate) {
        self.init(candidate: candidate.candidate, sdpMid: candidate.mid, sdpMLineIndex: candidate.mediaIndex)
    }
}
