import Audio
import Logging
import Media
import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import TestSupport
import WebRTC
import Wire

@testable import PatchbayKit

struct NoSettings: PluginSettings {}

/// A pipeline that does what the test says.
struct ScriptedPipeline: PipelinePlugin {
    static let type = "scripted"
    static let summary = "Does what a test says."
    var script: @Sendable (Call, CallAudio) async throws -> Void = { _, _ in }

    init(settings: NoSettings, context: PluginContext) {}

    init(_ script: @escaping @Sendable (Call, CallAudio) async throws -> Void) {
        self.script = script
    }

    func run(_ call: Call, audio: CallAudio) async throws {
        try await script(call, audio)
    }
}

/// Takes every call, or none, and remembers what it gave.
final class CountingQuota: QuotaPlugin {
    static let type = "counting"
    static let summary = "Counts leases."
    enum Mood: Sendable {
        case admits, denies, fails
    }

    struct Tally: Equatable {
        var admitted = 0
        var renewed = 0
        var released = 0
    }

    private let mood: Mood
    private let timeToLive: Duration?
    /// What renewing throws.
    private let renewalError: (any Error)?
    private let counts = Mutex(Tally())

    init(settings: NoSettings, context: PluginContext) {
        (mood, timeToLive, renewalError) = (.admits, nil, nil)
    }

    init(_ mood: Mood = .admits, timeToLive: Duration? = nil, renewalError: (any Error)? = nil) {
        (self.mood, self.timeToLive, self.renewalError) = (mood, timeToLive, renewalError)
    }

    var tally: Tally { counts.withLock { $0 } }

    func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        switch mood {
        case .admits:
            counts.withLock { $0.admitted += 1 }
            return .admit(Lease(id: request.callID, timeToLive: timeToLive, metadata: ["seat": "1"]))
        case .denies: return .deny(Denial(code: "full", message: "Full"))
        case .fails: throw CallerError("unreachable")
        }
    }

    func renew(_ lease: Lease) async throws {
        counts.withLock { $0.renewed += 1 }
        if let renewalError { throw renewalError }
    }

    func release(_ lease: Lease, usage: CallUsage) async {
        counts.withLock { $0.released += 1 }
    }
}

/// Uses every candidate.
struct OpenPolicy: ICEPolicyPlugin {
    static let type = "open"
    static let summary = "Uses every candidate."

    init() {}

    init(settings: NoSettings, context: PluginContext) {}

    func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool { true }
}

extension Tenant {
    static func test(
        pipeline: ScriptedPipeline = ScriptedPipeline { _, audio in for await _ in audio.input {} },
        quotas: [Quota] = [], auth: [any AuthPlugin] = [], store: any StorePlugin = MemoryStore(),
        runsAreRegistered: Bool = false, callLimit: Duration = .seconds(60), idleLimit: Duration = .seconds(60),
        connectLimit: Duration = .seconds(60), grace: Duration = .seconds(10), name: String = "default",
        events: EventExposure = .all
    ) -> Tenant {
        var limits = LimitSettings()
        (limits.call, limits.idle, limits.connect, limits.grace) = (callLimit, idleLimit, connectLimit, grace)
        return Tenant(
            instances: [], name: name, matches: [.any], auth: auth.map { Auth(name: "door", plugin: $0) },
            allowsAnonymous: false,
            quotas: quotas, pipeline: Pipeline(name: "script", plugin: pipeline),
            pipelinesByWorkflow: [:], inbound: OpenPolicy(), outbound: OpenPolicy(),
            runs: WorkflowRuns(store: store, tenant: "default"), runsAreRegistered: runsAreRegistered,
            keepRuns: .seconds(86_400), events: EventsChoice(events), limits: limits)
    }
}

extension Tenant.Quota {
    static func test(_ plugin: CountingQuota, admitsWhenUnavailable: Bool = false) -> Tenant.Quota {
        Tenant.Quota(name: "seats", plugin: plugin, admitsWhenUnavailable: admitsWhenUnavailable)
    }
}

extension CallSupervisor.Environment {
    static func test(
        media: any MediaHost, log: any LogHandler = WatchedLog()
    ) -> CallSupervisor.Environment {
        CallSupervisor.Environment(
            media: media, registry: CallRegistry(), logger: Logger(label: "test") { _ in log })
    }
}

let testRequest = CallRequest(
    callID: "call", tenant: "default", principal: Principal(id: "7"), workflowID: 1, workflowRunID: 2)

/// A gateway's media on loopback, and a caller's.
struct LoopbackCall {
    static let loopback = SocketAddress(ipv4: 0x7f00_0001, port: 0)
    let environment: CallSupervisor.Environment
    let engine: MediaEngine
    let caller: MediaEngine

    init() throws {
        engine = try MediaEngine(addresses: [Self.loopback], ports: nil, loops: 1)
        environment = .test(media: engine)
        caller = try MediaEngine(addresses: [Self.loopback], ports: nil, loops: 1)
    }

    func stop() {
        engine.stop()
        caller.stop()
    }

    /// Places a call that the gateway's side supervises; candidates are in the answer.
    func place(_ tenant: Tenant) async throws -> (supervisor: CallSupervisor, media: MediaCall) {
        let admission = try await Admission(testRequest, pcID: "PC-1", tenant: tenant, environment: environment)
        let settings = CallSettings(
            inputRate: 16_000, outputRate: 16_000, input: PCMInputQueue(frameSize: 320),
            output: PlayoutQueue(rate: 16_000))
        let (media, offer) = try await caller.offer(settings) { _ in }
        let (supervisor, answer) = try await CallSupervisor.answer(
            offer: offer, admission, tenant: tenant, context: [:], environment: environment)
        try await media.accept(answer: answer.sdp)
        return (supervisor, media)
    }
}

/// Waits until `condition` holds; false after 10 s.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<1000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}

extension ConnectRequest {
    static var test: ConnectRequest {
        ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
    }
}
