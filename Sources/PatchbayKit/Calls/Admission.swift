import Logging
import PatchbayPlugin

/// Why an offer starts no call.
enum Refusal: Error, Equatable {
    case denied(Denial)
    /// The `pc_id` is that of a live call on another socket.
    case alreadyOwned
}

/// What a new call holds from its admission to its end: its name, its leases, its run.
struct Admission: Sendable {
    let request: CallRequest
    private(set) var leases = LeaseHolder()
    let client: CallClient
    private let runs: WorkflowRuns
    /// Whoever holds them has the store of the runs live on, whatever is reloaded.
    private let instances: [LiveInstance]
    /// As the store has it, or as it will be written down.
    private var run: WorkflowRun
    private let environment: CallSupervisor.Environment

    /// Decides on a new call, in the order that clients know: quotas of every offer, the name, a run that has ended, quotas
    /// of new calls, a run that is live. A refusal leaves nothing behind.
    init(
        _ request: CallRequest, pcID: String, tenant: Tenant, environment: CallSupervisor.Environment
    ) async throws(Refusal) {
        let owner = request.principal.runOwner
        self.request = request
        self.environment = environment
        runs = tenant.runs
        instances = tenant.instances
        run = WorkflowRun(
            id: request.workflowRunID, owner: owner, workflowID: request.workflowID,
            timeToLive: tenant.keepRuns)
        client = CallClient(request, pcID: pcID)

        guard !environment.registry.isDraining else { throw .denied(.draining) }
        try await leases.admit(request, tenant.quotas(.everyOffer), environment)
        guard environment.registry.claim(client) else {
            await leases.release(usage: CallUsage(duration: .zero), environment)
            throw .alreadyOwned
        }
        do throws(Refusal) {
            try await lookUpRun()
            try await leases.admit(request, tenant.quotas(.newCall), environment)
            try await claimRun()
        } catch {
            environment.registry.giveBack(client)
            await leases.release(usage: CallUsage(duration: .zero), environment)
            throw error
        }
    }

    private mutating func lookUpRun() async throws(Refusal) {
        do {
            guard let found = try await runs.find(run.id, owner: run.owner) else { return }
            run = found
        } catch {
            environment.logger.error("the store could not look up a run", metadata: metadata(error))
            throw .denied(.runUnavailable)
        }
        if run.hasEnded { throw .denied(.runCompleted) }
        // It was looked at when the socket opened, and may have been called for the first time since.
        if run.workflowID != request.workflowID { throw .denied(.runMismatch) }
    }

    /// A store that fails counts as a run that is taken.
    private mutating func claimRun() async throws(Refusal) {
        do {
            guard try await runs.claim(run.id, owner: run.owner, callID: request.callID) else {
                throw Refusal.denied(.runActive)
            }
        } catch {
            if !(error is Refusal) {
                environment.logger.error("the store could not take a run", metadata: metadata(error))
                // It may be taken all the same; nobody waits until that is given back.
                releaseRunLater()
            }
            throw .denied(.runActive)
        }
        do throws(Refusal) {
            // Its call may have ended between the look and the claim.
            try await lookUpRun()
        } catch {
            await releaseRun()
            throw error
        }
    }

    /// Writes an open run down, now that its call is answered. One that cannot be written is written at its end.
    func begin() async {
        do {
            _ = try await runs.add(run)
        } catch {
            environment.logger.warning("the store did not take a run", metadata: metadata(error))
        }
    }

    private func releaseRun() async {
        do {
            try await runs.release(run.id, owner: run.owner, callID: request.callID)
        } catch {
            environment.logger.error("the store did not take a run back", metadata: metadata(error))
            releaseRunLater()
        }
    }

    /// What the store does not take back by then expires.
    private func releaseRunLater() {
        afterwards(for: WorkflowRuns.claimLifetime) { [runs, run, request] in
            try await runs.release(run.id, owner: run.owner, callID: request.callID)
        }
    }

    /// Keeps the leases and the run from expiring, until cancelled; a quota may deny that the call goes on.
    func keepAlive(logger: Logger, onDenial: @escaping @Sendable (Denial) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await leases.keepAlive(logger: logger, onDenial: onDenial) }
            group.addTask {
                while true {
                    do { try await Task.sleep(for: WorkflowRuns.claimLifetime / 3) } catch { return }
                    do {
                        let holds = try await runs.claim(run.id, owner: run.owner, callID: request.callID)
                        if !holds { logger.warning("another call has taken the run") }
                    } catch {
                        logger.warning("the run's claim was not renewed", metadata: ["error": "\(error)"])
                    }
                }
            }
        }
    }

    /// Gives everything back. Call it once.
    ///
    /// - Parameter runEnds: the call was answered, so that the run is over; else it can be called still.
    func release(usage: CallUsage, runEnds: Bool) async {
        if runEnds { await endRun() } else { await releaseRun() }
        await leases.release(usage: usage, environment)
        environment.registry.giveBack(client)
    }

    /// While the store does not take the end the run stays claimed, as well as such a store can, or it could be called again.
    private func endRun() async {
        do {
            try await runs.end(run)
            await releaseRun()
        } catch {
            environment.logger.error("the store did not take a run's end; trying again", metadata: metadata(error))
            afterwards(for: Self.patience) {
                do {
                    try await runs.end(run)
                } catch {
                    _ = try? await runs.claim(run.id, owner: run.owner, callID: request.callID)
                    throw error
                }
                await releaseRun()
            }
        }
    }

    /// How long a run's end is tried. A store that is away for longer is not worth a task for each call.
    private static let patience = Duration.seconds(3_600)

    private func metadata(_ error: any Error) -> Logger.Metadata {
        ["tenant": "\(request.tenant)", "run": "\(request.workflowRunID)", "error": "\(error)"]
    }

    /// Tries something until it goes well, while nobody waits for it.
    private func afterwards(for time: Duration, _ body: @escaping @Sendable () async throws -> Void) {
        Task { [instances] in
            await persist(for: time, body)
            withExtendedLifetime(instances) {}
        }
    }
}

extension Denial {
    static let runCompleted = Denial(
        code: "workflow_run_already_completed",
        message: "This test run has already finished. Start a new test to call the agent again.")
    static let runActive = Denial(
        code: "workflow_run_already_active", message: "Workflow run already has an active call")
    static let runMismatch = Denial(
        code: "workflow_run_workflow_mismatch", message: "workflow_run_workflow_mismatch")
    static let runUnavailable = Denial(
        code: "workflow_run_unavailable", message: "Could not look up the run. Please try again.")
    static let draining = Denial(
        code: "server_draining", message: "The server is about to restart. Please try again in a moment.")
    static let callerUnknown = Denial(
        code: "auth_check_failed", message: "Could not verify who is calling. Please try again.")
    static let noRoom = Denial(code: "concurrency_limit_exceeded", message: "Concurrent call limit reached")
    static let noRelay = Denial(
        code: "relay_unavailable",
        message: "Calls go through a relay here, and none is available at the moment. Please try again shortly.")
    static let quotaUnknown = Denial(
        code: "quota_check_failed", message: "Could not verify the call's quota. Please try again.")
}
