import ICE
import Logging
import PatchbayConfig
import PatchbayPlugin
import Signaling
import Wire

/// Tries the tests of a configuration: no socket is opened, nothing is written to a store, and no quota is started or asked.
///
/// A test is about one tenant; what that needs is started when it is needed first. What the test has for itself is stopped
/// after it, and what all share by `stop`.
struct CaseRunner {
    let configuration: GatewayConfiguration
    /// What tests are about. They are tried on a `CaseStage` each.
    let deployment: Deployment
    let environment: [String: String]
    /// How long an instance may take to start, and a question to it.
    let patience: Duration
    let logger: Logger
    let clock: CaseClock
    /// On which nothing is yet.
    private let bareStage: CaseStage
    private var started: [LiveInstance] = []
    /// Why instances could not start, by label: nobody waits for one again.
    private var failures: [String: CaseFailure] = [:]
    /// The labels of those that did not stop in time: nobody waits for one again, either.
    private var clinging: Set<String> = []

    /// Makes every instance, without I/O.
    ///
    /// - Throws: `Faults`, all of them.
    init(
        _ configuration: GatewayConfiguration, plugins: [PluginRegistration], environment: [String: String],
        logger: Logger, patience: Duration = .seconds(5), wallClock: @escaping @Sendable () -> Duration
    ) throws(Faults) {
        self.configuration = configuration
        self.environment = environment
        self.patience = patience
        self.logger = logger
        clock = CaseClock(wallClock)
        // Where any run may be called, what was called before is no matter of the configuration.
        let openRuns = configuration.tenants.filter { $0.runs == .open }
            .map { WorkflowRuns.prefix(ofTenant: $0.name) }
        deployment = try Deployment(
            configuration, plugins: plugins, logger: logger, wallClock: { [clock] in clock.now },
            access: { ScratchStore(over: $0, hiding: openRuns) })
        bareStage = CaseStage(
            configuration, deployment.instances, plugins: plugins, hiding: openRuns, logger: logger,
            wallClock: { [clock] in clock.now })
    }

    /// Tries a test as if it were the only one.
    mutating func run(_ test: TestCase) async -> CaseReport {
        var stage = bareStage
        let report = await report(test, on: &stage)
        let own = started.filter { !stage.shares($0) }
        started = started.filter { stage.shares($0) }
        await stop(own)
        return report
    }

    private mutating func report(_ test: TestCase, on stage: inout CaseStage) async -> CaseReport {
        do {
            let findings = try await findings(test, on: &stage)
            if let failure = findings.failure(of: test.expect) { throw failure }
            return CaseReport(test, findings)
        } catch {
            return CaseReport(test, failure: "\(error)")
        }
    }

    private mutating func findings(_ test: TestCase, on stage: inout CaseStage) async throws -> Findings {
        if let connect = test.connect { return try await findings(connect, on: &stage) }
        if let embed = test.embed { return try await findings(embed, on: &stage) }
        if let candidate = test.candidate { return try findings(candidate) }
        throw CaseFailure("nobody does anything in it")
    }

    /// Stops what tests have shared.
    mutating func stop() async {
        let shared = started
        started = []
        await stop(shared)
    }

    /// In reverse. One that did not stop for another test is only let go of.
    private mutating func stop(_ instances: [LiveInstance]) async {
        for instance in instances.reversed() where !clinging.contains(instance.label) {
            do {
                try await within(patience) { await instance.stop() }
            } catch {
                clinging.insert(instance.label)
                logger.warning(
                    "an instance could not stop", metadata: ["instance": "\(instance.label)", "error": "\(error)"])
            }
        }
    }

    // MARK: - Candidates

    /// A policy is a function of the candidate alone, and needs no stage.
    private func findings(_ candidate: CandidateSettings) throws(CaseFailure) -> Findings {
        guard let tenant = deployment.tenants.first(where: { $0.name == candidate.tenant.name }) else {
            throw CaseFailure("there is no tenant '\(candidate.tenant.name)'")
        }
        guard let parsed = ICE.Candidate(parsing: candidate.candidate) else {
            throw CaseFailure("the candidate is none (RFC 8839 §5.1): candidate:1 1 udp PRIORITY ADDRESS PORT typ host")
        }
        var findings = Findings()
        var isKept = tenant.keeps(parsed, candidate.direction == .inbound ? .inbound : .outbound)
        if !isKept {
            findings.reason = "by the policy"
        } else if candidate.direction == .inbound, isNeverDialled(parsed) {
            isKept = false
            findings.reason = "no gateway sends to this address"
        }
        findings["kept"] = "\(isKept)"
        return findings
    }

    /// Whether no policy could help. The gateway's own services, which it does not dial either, are not known here.
    private func isNeverDialled(_ candidate: ICE.Candidate) -> Bool {
        guard candidate.transport == .udp, case .ip(let address) = candidate.address else { return false }
        let allowsLoopback =
            switch configuration.media.addresses {
            case .auto: false
            case .list(let addresses): addresses.contains(where: \.isLoopback)
            }
        return !DialRules(allowsLoopback: allowsLoopback).allows(address)
    }

    // MARK: - What a test needs

    /// The tenant of a request, with what is the test's own, and the rest of the path.
    func tenant(
        of request: Request, on stage: inout CaseStage
    ) throws(CaseFailure) -> (tenant: Tenant, path: ArraySlice<String>)? {
        guard let (served, path) = deployment.tenant(host: request.host, path: request.path) else { return nil }
        return (tenant: try stage.tenant(served), path: path)
    }

    /// The tenant's auth instances, and the stores that these and its runs have.
    mutating func start(for tenant: Tenant) async throws {
        guard let settings = configuration.tenants.first(where: { $0.name == tenant.name }) else { return }
        let own = tenant.instances.filter { instance in
            instance.kind == .auth && settings.auth.contains(instance.name)
                || instance.kind == .store && instance.name == settings.store
        }
        try await start(own)
    }

    /// Starts instances that are not, and before them the stores they have.
    mutating func start(_ own: [LiveInstance]) async throws {
        for instance in own.flatMap({ $0.stores + [$0] }) {
            if let failure = failures[instance.label] { throw failure }
            do {
                if try await instance.start(within: patience) { started.append(instance) }
            } catch {
                let failure = CaseFailure("\(error)")
                failures[instance.label] = failure
                throw failure
            }
        }
    }
}

/// Why a test could not be tried.
struct CaseFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}
