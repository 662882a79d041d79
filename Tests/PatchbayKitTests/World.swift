import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Synchronization

@testable import PatchbayKit

/// What sockets stand on: a tenant with both kinds of quotas, a store that can fail, media without sound.
struct World: Sendable {
    static let workflow = 33

    /// The calls whose pipelines run, by user.
    final class Pipelines: Sendable {
        let calls = Mutex<[String: Call]>([:])
    }

    let media = NoMedia()
    let environment: CallSupervisor.Environment
    let everyOffer = GateQuota<AtEveryOffer>()
    let newCall = GateQuota<AtNewCall>()
    let store: any StorePlugin
    let pipelines = Pipelines()
    let log = RecordedLog()
    let tenant: Tenant

    /// - Parameters:
    ///   - grace: how long a call waits for its caller.
    ///   - events: what a client sees.
    ///   - environment: another than its own.
    ///   - script: what the pipeline does; by default it listens until the call's end.
    init(
        store: any StorePlugin = MemoryStore(), grace: Duration = .seconds(60), events: EventExposure = .all,
        environment: CallSupervisor.Environment? = nil,
        script: @escaping @Sendable (Call, CallAudio) async throws -> Void = { _, audio in for await _ in audio.input {}
        }
    ) {
        self.environment = environment ?? .test(media: media, log: log)
        self.store = store
        let pipeline = ScriptedPipeline { [pipelines] call, audio in
            pipelines.calls.withLock { $0[call.principal.id] = call }
            try await script(call, audio)
        }
        tenant = .test(
            pipeline: pipeline,
            quotas: [
                Tenant.Quota(name: "credits", plugin: everyOffer, admitsWhenUnavailable: false),
                Tenant.Quota(name: "seats", plugin: newCall, admitsWhenUnavailable: false),
            ], store: store, grace: grace, events: events)
    }

    func socket(user: String = "7", run: Int = 501) async -> TestSocket {
        await TestSocket(self, .user(user), run: run)
    }

    func run(_ id: Int = 501, user: String = "7") -> WorkflowRun {
        WorkflowRun(id: id, owner: .user(user), workflowID: Self.workflow)
    }

    var leases: Int { environment.registry.leases.load(ordering: .relaxed) }

    /// What is still held: nothing when every call is over.
    func leftovers(
        names: [String] = ["PC-a", "PC-b", "PC-c"], users: [String] = ["7"], runs: [Int] = [501]
    ) async throws -> [String] {
        var left: [String] = []
        if leases != 0 { left.append("\(leases) leases") }
        if media.load != 0 { left.append("\(media.load) peer connections") }
        if !environment.registry.isEmpty { left.append("a call in the registry") }
        if !everyOffer.held.isEmpty || !newCall.held.isEmpty { left.append("a quota's lease") }
        for user in users {
            for name in names where !isFree(name, user: user) { left.append("\(name) of user \(user)") }
            for run in runs {
                let owner = RunOwner.user(user)
                if try await tenant.runs.claim(run, owner: owner, callID: "probe") {
                    try await tenant.runs.release(run, owner: owner, callID: "probe")
                } else {
                    left.append("run \(run) of user \(user)")
                }
            }
        }
        return left
    }

    /// The connections of a user's calls.
    func names(of user: String) -> [String] {
        ["PC-a", "PC-b", "PC-c"].filter { !isFree($0, user: user) }
    }

    private func isFree(_ pcID: String, user: String) -> Bool {
        let name = CallRegistry.PeerName(tenant: tenant.name, principal: .user(user), pcID: pcID)
        return environment.registry.client(name) == nil
    }
}
