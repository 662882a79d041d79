import Logging
import PatchbayConfig
import PatchbayPlugin

/// Reads the configuration again, and serves it when nothing is wrong with it.
actor Reloader {
    /// What came of it.
    enum Outcome: Sendable {
        case done(Change)
        case faults(Faults)
        /// Settings that a running gateway cannot change, by their paths.
        case needsRestart([String])
        case cannotStart(StartFailures)
    }

    /// What is other than before.
    struct Change: Sendable {
        /// The instances that were made, by their labels.
        var made: [String]
        /// How many are the old ones.
        var kept: Int
        var tenants: GatewayConfiguration.TenantChanges
        /// What `patchbay check` would warn of.
        var warnings: [Fault]
    }

    private let served: CurrentDeployment
    /// What the process runs with.
    private let configuration: GatewayConfiguration
    /// What is served.
    private var latest: GatewayConfiguration
    private let plugins: [PluginRegistration]
    private let logger: Logger
    /// How long one instance may take to start: a reload waits for the one before it.
    private let patience: Duration
    private let prepare: @Sendable (Deployment) -> Void
    private let warnings: @Sendable (Deployment, GatewayConfiguration) -> [Fault]
    private let load: @Sendable () throws(Faults) -> GatewayConfiguration
    private var last: Task<Outcome, Never>?

    /// - Parameters:
    ///   - prepare: does what has to be done before calls meet another configuration, which is certain by then.
    ///   - warnings: what nobody would want of it.
    ///   - load: reads and checks what the file says now.
    init(
        _ served: CurrentDeployment, _ configuration: GatewayConfiguration, plugins: [PluginRegistration],
        logger: Logger, patience: Duration = .seconds(30),
        prepare: @escaping @Sendable (Deployment) -> Void = { _ in },
        warnings: @escaping @Sendable (Deployment, GatewayConfiguration) -> [Fault] = { $0.warnings($1) },
        load: @escaping @Sendable () throws(Faults) -> GatewayConfiguration
    ) {
        self.served = served
        self.configuration = configuration
        latest = configuration
        self.plugins = plugins
        self.logger = logger
        self.patience = patience
        self.prepare = prepare
        self.warnings = warnings
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
        let (new, deployment): (GatewayConfiguration, Deployment)
        do throws(Faults) {
            new = try load()
            let fixed = new.needsRestart(after: configuration)
            guard fixed.isEmpty else { return .needsRestart(fixed) }
            deployment = try Deployment(
                new, plugins: plugins, logger: logger, wallClock: former.wallClock, after: former)
        } catch {
            return .faults(error.ofReload)
        }
        do {
            try await deployment.start(patience: patience)
        } catch {
            return .cannotStart(error)
        }
        let warnings = GatewayConfiguration.faults(warnings(deployment, new)).faults
        warnings.log(logger)
        prepare(deployment)
        served.replace(by: deployment)
        let old = Set(former.instances.map(ObjectIdentifier.init))
        let made = deployment.instances.filter { !old.contains(ObjectIdentifier($0)) }.map(\.label)
        let change = Change(
            made: made, kept: deployment.instances.count - made.count, tenants: new.tenantChanges(after: latest),
            warnings: warnings)
        latest = new
        return .done(change)
    }

    private func log(_ outcome: Outcome) {
        switch outcome {
        case .done(let change): logger.notice("configuration reloaded", metadata: change.metadata)
        case .faults(let faults):
            complain("\(faults)")
            logger.error(
                "configuration not reloaded: it has faults; the old one goes on",
                metadata: ["faults": "\(faults.faults.count)"])
        case .needsRestart(let settings):
            logger.error(
                "configuration not reloaded: it changes what takes a restart; the old one goes on",
                metadata: ["settings": "\(settings.joined(separator: ", "))"])
        case .cannotStart(let all):
            for failure in all.failures {
                logger.error(
                    "configuration not reloaded: an instance cannot start; the old one goes on",
                    metadata: ["error": "\(failure)"])
            }
        }
    }
}

extension Faults {
    /// With what a check by hand need not say: it has the variables of now, and a gateway those of its start.
    fileprivate var ofReload: Faults {
        let note = "a running gateway does not see variables that were set after its start: restart it"
        let explained = faults.map { fault -> Fault in
            guard fault.isUnsetVariable else { return fault }
            var fault = fault
            fault.help = fault.help.map { "\($0); \(note)" } ?? "\(note), or use { file: PATH }"
            return fault
        }
        return GatewayConfiguration.faults(explained)
    }
}

extension Reloader.Change {
    /// For whoever asked for it.
    var json: JSONValue {
        func list(_ names: [String]) -> JSONValue { .array(names.map(JSONValue.string)) }
        return [
            "status": "reloaded", "made": .integer(made.count), "kept": .integer(kept), "instances_made": list(made),
            "tenants_added": list(tenants.added), "tenants_removed": list(tenants.removed),
            "tenants_changed": list(tenants.changed), "warnings": .array(warnings.map(\.json)),
        ]
    }

    /// For the log: lists that are empty are left out.
    fileprivate var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["instances_made": "\(made.count)", "kept": "\(kept)"]
        let lists = [
            ("made", made), ("tenants_added", tenants.added), ("tenants_removed", tenants.removed),
            ("tenants_changed", tenants.changed),
        ]
        for (name, list) in lists where !list.isEmpty {
            let rest = list.count > 10 ? " and \(list.count - 10) more" : ""
            metadata[name] = "\(list.prefix(10).joined(separator: ", "))\(rest)"
        }
        return metadata
    }
}
