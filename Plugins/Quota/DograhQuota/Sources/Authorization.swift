internal import Logging
internal import PatchbayPlugin

/// A run that wants to start.
struct RunStart: Sendable {
    /// Whose workflow it is said to be.
    var organization: String?
    /// The user who starts it.
    var actor: String
    var workflowID: Int
    /// nil where runs are not Dograh's.
    var runID: Int?
}

/// A run about which everything is looked up.
struct KnownRun: Sendable {
    var workflow: Workflow
    var owner: String
    var run: Run?
    var configuration: ModelConfiguration

    /// The run that is billed as such; nil where only the balance counts.
    var billedRun: Run? { configuration.isManagedV2 ? run : nil }
}

/// Whether a run may start: the look-ups, in their order, and then the billing service's word.
struct Authorization: Sendable {
    let mode: DograhQuota.Mode
    let directory: any Directory
    let billing: BillingService
    let logger: Logger

    /// Decides about one run.
    ///
    /// - Returns: the billing service's id for the run, where it is billed as such.
    /// - Throws: why it may not start.
    func authorize(_ start: RunStart) async throws(Denial) -> String? {
        let known = try await lookUp(start)
        switch mode {
        case .hosted: return try await authorizeHosted(known)
        case .oss: return try await authorizeSelfHosted(known)
        }
    }

    private func lookUp(_ start: RunStart) async throws(Denial) -> KnownRun {
        guard let organization = start.organization, !organization.isEmpty else { throw .workflowNotFound }
        let found = try await ask("workflow", or: .workflowNotFound) {
            try await directory.workflow(start.workflowID, of: organization)
        }
        guard let workflow = found, !start.actor.isEmpty else { throw .workflowNotFound }
        let isMember = try await ask("membership", or: .workflowNotFound) {
            try await directory.isMember(start.actor, of: organization)
        }
        guard isMember else { throw .workflowNotFound }
        let user = try await ask("owner", or: .quotaCheckFailed) { try await directory.owner(of: workflow) }
        guard let owner = user else { throw .userNotFound }
        var run: Run?
        if let id = start.runID {
            run = try await ask("run", or: .quotaCheckFailed) { try await directory.run(id, for: workflow) }
            guard run?.workflowID == workflow.id else { throw .runNotFound }
        }
        let configuration = try await ask("configuration", or: .quotaCheckFailed) { [run] in
            try await directory.configuration(of: workflow, run: run)
        }
        return KnownRun(workflow: workflow, owner: owner, run: run, configuration: configuration)
    }

    /// Looks something up; where nobody can tell, that is a denial.
    private func ask<Found>(
        _ what: String, or denial: Denial, _ body: () async throws -> Found
    ) async throws(Denial) -> Found {
        do {
            return try await body()
        } catch {
            logger.warning("a look-up failed", metadata: ["what": "\(what)", "error": "\(error)"])
            throw denial
        }
    }

    /// Writes the correlation id of a run down that is billed as such; without one it cannot start.
    func requireCorrelation(_ correlationID: String?, of run: Run) async throws(Denial) -> String {
        guard let correlationID, !correlationID.isBlank else {
            logger.warning("the billing service gave the run no correlation id", metadata: ["run": "\(run.id)"])
            throw .quotaCheckFailed
        }
        return try await save(correlationID, of: run)
    }

    /// Writes a correlation id down: what could not be found again, nobody could be billed for.
    func save(_ correlationID: String, of run: Run) async throws(Denial) -> String {
        let isSaved = try await ask("place for the correlation id", or: .quotaCheckFailed) {
            try await directory.save(correlationID: correlationID, of: run)
        }
        if !isSaved {
            logger.warning("the run of a correlation id is gone", metadata: ["run": "\(run.id)"])
        }
        return correlationID
    }

    /// What was asked for did not come; nothing in it is secret.
    func note(_ failure: BillingFailure, _ outcome: String) {
        logger.warning("\(outcome)", metadata: ["error": "\(failure)"])
    }
}

extension String {
    /// Whether there is nothing in it but white space.
    var isBlank: Bool { allSatisfy(\.isWhitespace) }
}
