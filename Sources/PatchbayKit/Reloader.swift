import Logging
import PatchbayConfig

/// Reads the configuration again, and serves it when nothing is wrong with it.
actor Reloader {
    /// What came of it.
    enum Outcome: Sendable {
        /// So many instances were made, and so many are the old ones.
        case done(made: Int, kept: Int)
        case faults(Faults)
        /// Settings that a running gateway cannot change, by their paths.
        case needsRestart([String])
        case cannotStart(StartFailure)
    }

    private let served: CurrentDeployment
    /// What the process runs with.
    private let configuration: GatewayConfiguration
    private let plugins: [PluginRegistration]
    private let logger: Logger
    private let load: @Sendable () throws(Faults) -> GatewayConfiguration
    private var last: Task<Outcome, Never>?

    init(
        _ served: CurrentDeployment, _ configuration: GatewayConfiguration, plugins: [PluginRegistration],
        logger: Logger,
        load: @escaping @Sendable () throws(Faults) -> GatewayConfiguration
    ) {
        self.served = served
        self.configuration = configuration
        self.plugins = plugins
        self.logger = logger
        self.load = load
    }

    /// One after the other. Nothing changes unless all goes well, and then all at once.
    func reload() async -> Outcome {
        let task = Task { [last] in
            _ = await last?.value
            let outcome = await attempt()
            log(outcome)
            return outcome
        }
        last = task
        return await task.value
    }

    private func attempt() async -> Outcome {
        let former = served.current
        let deployment: Deployment
        do throws(Faults) {
            let new = try load()
            let fixed = new.needsRestart(after: configuration)
            guard fixed.isEmpty else { return .needsRestart(fixed) }
            deployment = try Deployment(
                new, plugins: plugins, logger: logger, wallClock: former.wallClock, after: former)
        } catch {
            return .faults(error)
        }
        do {
            try await deployment.start()
        } catch {
            return .cannotStart(error)
        }
        served.replace(by: deployment)
        let kept = deployment.instances.count { new in former.instances.contains { $0 === new } }
        return .done(made: deployment.instances.count - kept, kept: kept)
    }

    private func log(_ outcome: Outcome) {
        switch outcome {
        case .done(let made, let kept):
            logger.notice("configuration reloaded", metadata: ["instances_made": "\(made)", "kept": "\(kept)"])
        case .faults(let faults):
            complain("\(faults)")
            logger.error(
                "configuration not reloaded: it has faults; the old one goes on",
                metadata: ["faults": "\(faults.faults.count)"])
        case .needsRestart(let settings):
            logger.error(
                "configuration not reloaded: it changes what takes a restart; the old one goes on",
                metadata: ["settings": "\(settings.joined(separator: ", "))"])
        case .cannotStart(let failure):
            logger.error(
                "configuration not reloaded: an instance cannot start; the old one goes on",
                metadata: ["error": "\(failure)"])
        }
    }
}
