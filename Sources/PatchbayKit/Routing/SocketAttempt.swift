import Logging
import PatchbayPlugin
import Signaling

/// A handshake of a signaling socket before it is accepted: what it asks for, and whether it may have it.
struct SocketAttempt: Sendable {
    /// What a socket's path asks for.
    private enum Route {
        case signedIn(workflow: Int, run: Int)
        case embed(session: String)

        init?(_ path: ArraySlice<String>) {
            guard path.starts(with: Router.prefix) else { return nil }
            let rest = Array(path.dropFirst(Router.prefix.count))
            if rest.count == 4, rest[..<2] == ["ws", "signaling"], let workflow = Int(rest[2]), let run = Int(rest[3]) {
                self = .signedIn(workflow: workflow, run: run)
            } else if rest.count == 4, rest[..<3] == ["ws", "public", "signaling"] {
                self = .embed(session: rest[3])
            } else {
                return nil
            }
        }
    }

    private let tenant: Tenant
    private let route: Route
    private let request: Request
    let connect: ConnectRequest

    /// nil where the path, what is left of it below the tenant's, is no signaling socket's.
    init?(_ request: Request, tenant: Tenant, path: ArraySlice<String>) {
        guard let route = Route(path) else { return nil }
        var connect = Router.credentials(of: request, tenant: tenant)
        switch route {
        case .signedIn(let workflow, let run): (connect.workflowID, connect.workflowRunID) = (workflow, run)
        case .embed(let session):
            connect.sessionToken = session
            // It is the credential here, whatever a proxy has added.
            (connect.bearerToken, connect.apiKey) = (nil, nil)
        }
        (self.tenant, self.route, self.request, self.connect) = (tenant, route, request, connect)
    }

    /// Why a socket is not let in.
    enum Refusal: Error {
        /// 403, without a word to the client; 429 where it is too many requests.
        case credential(Denial)
        /// 400, with what is wrong with the run.
        case run(Denial)
        /// 503: nobody could tell.
        case unavailable(String, by: String? = nil)

        var response: Response {
            switch self {
            case .credential(let denial) where denial.code == Denial.tooManyRequests.code:
                Router.failure(429, denial.message)
            case .credential: Response(status: 403)
            case .run(let denial): Router.failure(400, denial.message)
            case .unavailable(let detail, _): Router.failure(503, detail)
            }
        }

        /// For the log.
        var denial: Denial {
            switch self {
            case .credential(let denial), .run(let denial): denial
            case .unavailable(let detail, _): Denial(code: "unavailable", message: detail)
            }
        }

        /// The auth instance that could not tell.
        var unavailableInstance: String? {
            if case .unavailable(_, let instance) = self { instance } else { nil }
        }
    }

    /// Who calls.
    ///
    /// - Parameter logger: hears what kept anybody from telling.
    func principal(logger: Logger) async throws(Refusal) -> Principal {
        if case .signedIn = route, let denial = tenant.refusal(ofPageBehind: request) { throw .credential(denial) }
        let outcome: AuthOutcome
        do {
            outcome = try await tenant.authenticate(connect)
        } catch {
            logger.report(error, of: tenant)
            throw .unavailable("Authentication is unavailable", by: error.instance)
        }
        switch outcome {
        case .accept(let principal): return principal
        case .reject(let denial): throw .credential(denial)
        case .pass: throw .credential(.noCredential)
        }
    }

    /// What the caller calls.
    ///
    /// - Parameter logger: hears what kept anybody from telling.
    func target(of principal: Principal, logger: Logger) async throws(Refusal) -> SignalingSession.Target {
        var target: SignalingSession.Target
        switch route {
        case .embed:
            guard let workflow = principal.workflowID, let run = principal.workflowRunID else {
                throw .credential(Self.mismatch)
            }
            target = SignalingSession.Target(principal: principal, workflowID: workflow, workflowRunID: run)
        case .signedIn(let workflow, let run):
            if let denial = tenant.refusal(ofPageBehind: request, principal) { throw .credential(denial) }
            guard principal.workflowID ?? workflow == workflow, principal.workflowRunID ?? run == run else {
                throw .credential(Self.mismatch)
            }
            try await check(run, of: workflow, principal, logger)
            target = SignalingSession.Target(principal: principal, workflowID: workflow, workflowRunID: run)
        }
        target.caller = CallerPlace(
            address: connect.remoteAddress, network: connect.remoteNetwork,
            // Whatever a stranger says: it stands in the log.
            page: request.page.map { String($0.unicodeScalars.prefix(256)) })
        return target
    }

    /// Whether the caller may call this run of this workflow. A run that is over is let in: its offer hears of it.
    private func check(
        _ id: Int, of workflow: Int, _ principal: Principal, _ logger: Logger
    ) async throws(Refusal) {
        if tenant.runsAreRegistered, principal.organization == nil { throw .run(.badRun("No organization selected")) }
        let run: WorkflowRun?
        do {
            run = try await tenant.runs.find(id, owner: principal.runOwner)
        } catch {
            logger.error(
                "the store could not look up a run", metadata: ["tenant": "\(tenant.name)", "error": "\(error)"])
            throw .unavailable("Runs are unavailable")
        }
        if let run {
            guard run.workflowID == workflow else { throw .run(.runMismatch) }
        } else if tenant.runsAreRegistered {
            throw .run(.badRun("Bad workflow_run_id"))
        }
    }

    private static let mismatch = Denial(
        code: "workflow_run_workflow_mismatch", message: "The credential is for another workflow or run")
}

extension Denial {
    fileprivate static func badRun(_ message: String) -> Denial { Denial(code: "bad_run", message: message) }
}

extension Logger {
    func report(_ failure: Tenant.AuthFailure, of tenant: Tenant) {
        error(
            "authentication failed",
            metadata: ["tenant": "\(tenant.name)", "auth": "\(failure.instance)", "error": "\(failure.cause)"])
    }
}
