import Audio
import ICE
import Logging
import Media
import PatchbayPlugin
import WebRTC
import Wire

/// One call: its media, its pipeline, its leases, and the end of all three together, whichever ends first.
///
/// The media path never waits for the pipeline: a pipeline that ignores its cancellation loses its call all the same.
struct CallSupervisor: Sendable {
    /// What a call needs from the process.
    struct Environment: Sendable {
        var engine: MediaEngine
        var registry: CallRegistry
        var logger: Logger
    }

    /// Something that may end the call.
    private enum Signal: Sendable {
        case media(PeerConnection.Event)
        case pipelineReturned(failure: String?)
        case hangUp(reason: String)
        case timeLimit
    }

    let id: String
    let media: MediaCall
    private let signals: AsyncStream<Signal>
    private let send: AsyncStream<Signal>.Continuation
    private let environment: Environment
    private let tenant: Tenant
    private let call: Call
    private let leases: LeaseHolder
    private let input: PCMInputQueue
    private let output: PlayoutQueue
    private let keys: AsyncStream<Character>.Continuation
    private let started = ContinuousClock.now
    /// Set before the leases are released.
    private let isOver = OnlyOnce {}

    /// Answers an offer. The call has what the quotas admitted, and holds it until `run` returns.
    ///
    /// - Throws: `PeerConnectionError` for an offer that cannot be answered; the leases are released then.
    static func answer(
        offer: String, _ request: CallRequest, tenant: Tenant, context: [String: JSONValue], leases: LeaseHolder,
        environment: Environment, sendToClient: @escaping @Sendable (ClientEvent) -> Void
    ) async throws -> (CallSupervisor, answer: String) {
        let pipeline = tenant.pipeline(forWorkflow: request.workflowID)
        let format = type(of: pipeline).audio
        let (input, output) = (PCMInputQueue(frameSize: format.inputRate / 50), PlayoutQueue(rate: format.outputRate))
        let (signals, send) = AsyncStream<Signal>.makeStream()
        let settings = CallSettings(
            inputRate: format.inputRate, outputRate: format.outputRate, input: input, output: output,
            keeps: { candidate, direction in
                PatchbayPlugin.Candidate(candidate).map {
                    direction == .inbound ? tenant.inbound.keeps($0, .inbound) : tenant.outbound.keeps($0, .outbound)
                } ?? true
            },
            connectTimeout: tenant.connectLimit)
        let media: MediaCall
        let answer: String
        do {
            (media, answer) = try await environment.engine.answer(offer: offer, settings) { event in
                send.yield(.media(event))
            }
        } catch {
            await leases.release(usage: CallUsage(duration: .zero), registry: environment.registry)
            throw error
        }
        var logger = environment.logger
        logger[metadataKey: "call"] = "\(request.callID)"
        logger[metadataKey: "tenant"] = "\(request.tenant)"
        let (keyPresses, keys) = AsyncStream<Character>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let call = Call(
            id: request.callID, tenant: request.tenant, principal: request.principal, workflowID: request.workflowID,
            workflowRunID: request.workflowRunID, contextVariables: context, leaseMetadata: leases.metadata,
            logger: logger, keyPresses: keyPresses, send: sendToClient,
            hangUp: { reason in send.yield(.hangUp(reason: reason)) })
        let supervisor = CallSupervisor(
            id: request.callID, media: media, signals: signals, send: send, environment: environment, tenant: tenant,
            call: call, leases: leases, input: input, output: output, keys: keys)
        environment.registry.add(
            CallRegistry.Entry(
                id: request.callID, tenant: request.tenant, workflowID: request.workflowID,
                workflowRunID: request.workflowRunID, state: "connecting"))
        return (supervisor, answer)
    }

    /// Ends the call, from outside. `run` then returns.
    func hangUp(reason: String) {
        send.yield(.hangUp(reason: reason))
    }

    /// Asks the quotas again, for a later offer of the same call.
    ///
    /// - Throws: the `Denial`.
    func recheck(_ request: CallRequest) async throws(Denial) {
        try await leases.recheck(request, isOver: { isOver.hasRun }, logger: call.logger)
    }

    /// Lives the call's life.
    ///
    /// - Returns: why it ended, in the words of the wire: `peer_connection_closed`, `pipeline_finished`, `pipeline_failed`,
    ///   `time_limit`, or what the pipeline or the socket said.
    func run() async -> String {
        let pipeline = tenant.pipeline(forWorkflow: call.workflowID)
        let pipelineTask = Task { [call, send] in
            do {
                try await pipeline.run(call, audio: audio(of: type(of: pipeline).audio))
                // What was queued last is still to be heard.
                await output.drained()
                send.yield(.pipelineReturned(failure: nil))
            } catch is CancellationError {
                send.yield(.pipelineReturned(failure: nil))
            } catch {
                send.yield(.pipelineReturned(failure: "\(error)"))
            }
        }
        let timers = Task { [leases, send, call] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await leases.keepAlive(logger: call.logger) }
                group.addTask { [limit = min(tenant.callLimit, leases.maximumDuration ?? tenant.callLimit)] in
                    do { try await Task.sleep(for: limit) } catch { return }
                    send.yield(.timeLimit)
                }
            }
        }
        let (reason, atTheEnd) = await untilTheEnd()
        let statistics: CallStatistics? = if let atTheEnd { atTheEnd } else { try? await media.statistics() }
        isOver.run()
        timers.cancel()
        pipelineTask.cancel()
        media.close()
        input.finish()
        output.finish()
        keys.finish()
        environment.registry.remove(id)
        await leases.release(
            usage: CallUsage(duration: ContinuousClock.now - started), registry: environment.registry)
        call.logger.info(
            "call ended",
            metadata: (statistics.map(Self.metadata) ?? [:]).merging(["reason": "\(reason)"]) { _, new in new })
        return reason
    }

    private static func metadata(_ statistics: CallStatistics) -> Logger.Metadata {
        [
            "packets_received": "\(statistics.packetsReceived)", "packets_lost": "\(statistics.packetsLost)",
            "packets_sent": "\(statistics.packetsSent)", "remote_lost": "\(statistics.remotePacketsLost)",
            "frames_concealed": "\(statistics.framesConcealed)",
        ]
    }

    /// Why the call is over, and how it went where the media was over first.
    private func untilTheEnd() async -> (reason: String, statistics: CallStatistics?) {
        for await signal in signals {
            switch signal {
            case .media(.connected):
                environment.registry.set("connected", of: id)
                call.logger.info("call connected")
            case .media(.disconnected): environment.registry.set("disconnected", of: id)
            case .media(.reconnected): environment.registry.set("connected", of: id)
            case .media(.keyPress(let key)): keys.yield(key)
            case .media(.ended(let reason, let statistics)):
                call.logger.info("media ended", metadata: ["reason": "\(reason)"])
                return ("peer_connection_closed", statistics)
            case .pipelineReturned(nil): return ("pipeline_finished", nil)
            case .pipelineReturned(let failure?):
                call.logger.error("pipeline failed", metadata: ["error": "\(failure)"])
                return ("pipeline_failed", nil)
            case .hangUp(let reason): return (reason, nil)
            case .timeLimit: return ("time_limit", nil)
            }
        }
        return ("cancelled", nil)
    }

    private func audio(of format: AudioFormat) -> CallAudio {
        CallAudio(
            input: AudioInput { [input] in
                await input.next().map { frame in
                    PCMFrame(
                        frame.samples, sampleRate: format.inputRate,
                        timestamp: .nanoseconds(Int64(frame.timestamp) * 62_500 / 3), concealed: frame.concealed,
                        silent: frame.silent)
                }
            },
            output: QueueOutput(queue: output, rate: format.outputRate))
    }
}

/// A pipeline's way to the playout queue.
private struct QueueOutput: AudioOutput {
    let queue: PlayoutQueue
    let rate: Int

    func play(_ frame: PCMFrame) async throws {
        guard frame.sampleRate == rate else { throw WrongSampleRate(expected: rate, found: frame.sampleRate) }
        try await queue.play(frame.samples)
    }

    func clear() -> Duration {
        queue.clear()
    }

    func mark() async -> PatchbayPlugin.MarkOutcome {
        switch await queue.mark().outcome {
        case .played: .played
        case .cleared: .cleared
        }
    }

    var isPlaying: Bool {
        queue.isPlaying
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
