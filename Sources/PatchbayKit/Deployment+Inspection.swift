import Logging
import PatchbayConfig
import PatchbayPlugin

extension [PluginRegistration] {
    /// What is wrong with a configuration that is not served, and only shows when its instances are made.
    func inspect(
        _ all: GatewayConfiguration.Instances, _ uses: GatewayConfiguration.Uses
    ) -> [SettingsProblem] {
        // What they would log belongs to a configuration that has none of these faults.
        let silent = Logger(label: "patchbay") { _ in SwiftLogNoOpLogHandler() }
        var maker = InstanceMaker(plugins: self, logger: silent, wallClock: { .zero })
        let stores = maker.make(.store, of: all, as: (any StorePlugin).self)
        for kind in PluginKind.allCases where kind != .store {
            _ = maker.make(kind, of: all, as: (any Plugin).self, with: stores)
        }
        return maker.faults.map { $0.instance.problem($0.fault) } + UseCheck(maker.instances, of: all).problems(uses)
    }
}

extension Deployment {
    /// What nobody would want of the configuration that it was made of, though all of it can be served.
    func warnings(_ configuration: GatewayConfiguration) -> [Fault] {
        let unused = configuration.unusedInstances.map {
            configuration.warning(SettingsFault("nothing names it, so it does nothing"), in: $0)
        }
        let ofInstances = instances.flatMap { made -> [Fault] in
            guard let instance = configuration.instances[made.kind]?[made.name] else { return [] }
            return made.plugin.warnings().map { configuration.warning($0, in: instance) }
        }
        let ofTenants = configuration.uses.tenants.flatMap { warnings(of: $0.auth) }
        let ofRuns = warningsOfRuns(configuration)
        return configuration.warnings + unused + ofInstances + ofTenants.map { configuration.warning($0) } + ofRuns
    }

    /// Of quotas to which the number of a run says more than a tenant with any runs can know, where it names them.
    private func warningsOfRuns(_ configuration: GatewayConfiguration) -> [Fault] {
        let entries = Dictionary(configuration.tenants.map { ($0.name, $0) }) { $1 }
        var warnings: [Fault] = []
        for tenant in tenants where tenant.letsCallersNumberRuns {
            guard let entry = entries[tenant.name] else { continue }
            // One that is named twice is warned of as such.
            for name in Set(tenant.quotas.filter { $0.plugin.sharesRunNumbers }.map(\.name)) {
                guard let index = entry.quotas.firstIndex(of: name) else { continue }
                let reason =
                    "a caller may name any run, and to '\(name)' that is one which others know by its number: write `runs: registered`"
                let fault = SettingsFault(reason, field: "quotas", at: [.index(index)])
                warnings.append(configuration.warning(fault, in: entry))
            }
        }
        return warnings
    }

    /// Of a chain of auth instances. One that is named twice is warned of as such, and looked at where it is asked first.
    private func warnings(of chain: [Reference]) -> [SettingsProblem] {
        var names: Set<String> = []
        var earlier: [any AuthPlugin] = []
        var problems: [SettingsProblem] = []
        for reference in chain where names.insert(reference.name).inserted {
            guard let plugin = auth[reference.name] else { continue }
            if let problem = plugin.warning(behind: earlier).flatMap({ reference.problem($0) }) {
                problems.append(problem)
            }
            earlier.append(plugin)
        }
        return problems
    }
}

extension [Fault] {
    /// Writes warnings down, for whoever serves without a check.
    func log(_ logger: Logger) {
        for warning in self {
            logger.warning(
                "\(warning.message)", metadata: ["setting": "\(warning.path)", "at": "\(warning.place)"])
        }
    }
}

/// Looks at how instances are used, once they are made. Where one could not be made, nothing is said that may not be so.
struct UseCheck {
    /// By label.
    private let plugins: [String: any Plugin]
    private let instances: GatewayConfiguration.Instances

    /// - Parameter all: those that can be decoded, made or not.
    init(_ made: [LiveInstance], of all: GatewayConfiguration.Instances) {
        plugins = Dictionary(uniqueKeysWithValues: made.map { ($0.label, $0.plugin) })
        instances = all
    }

    func problems(_ uses: GatewayConfiguration.Uses) -> [SettingsProblem] {
        let ofTenants = uses.tenants.flatMap { tenant in
            [playground(of: tenant)].compactMap(\.self) + sharedRoutes(of: tenant)
        }
        return ofTenants + uses.mintings.flatMap { problems(of: $0) }
    }

    private func label(_ kind: PluginKind, _ reference: Reference) -> String { "\(kind.section).\(reference.name)" }

    /// The instances that may serve HTTP, by what names them.
    private func named(by tenant: GatewayConfiguration.TenantUse) -> [(label: String, reference: Reference)] {
        tenant.auth.map { (label: label(.auth, $0), reference: $0) }
            + tenant.pipelines.map { (label: label(.pipeline, $0), reference: $0) }
    }

    private func playground(of tenant: GatewayConfiguration.TenantUse) -> SettingsProblem? {
        guard tenant.playground != nil, tenant.isAuthGood,
            tenant.auth.allSatisfy({ plugins[label(.auth, $0)] != nil })
        else { return nil }
        let providers = named(by: tenant).compactMap { plugins[$0.label] as? any RouteProvider }
        guard !providers.startEmbedSessions else { return nil }
        return tenant.problem(
            SettingsFault(
                "nothing in the tenant's auth starts sessions of embed pages, which the playground is: name an instance of type embed_token",
                field: "playground"))
    }

    /// Instances that serve what another of the tenant's serves already.
    private func sharedRoutes(of tenant: GatewayConfiguration.TenantUse) -> [SettingsProblem] {
        var servers: [String: String] = [:]
        var problems: [SettingsProblem] = []
        for (label, reference) in named(by: tenant) {
            let routes = (plugins[label] as? any RouteProvider)?.routes ?? []
            let shared = routes.first { servers[$0.path] ?? label != label }
            for route in routes where servers[route.path] == nil { servers[route.path] = label }
            guard let shared, let other = servers[shared.path] else { continue }
            let problem = reference.problem(
                "a tenant has one instance that serves \(shared.path), and \(other) and \(label) both do",
                help: "leave one of them out, and let the other have what it has")
            problems += [problem].compactMap(\.self)
        }
        return problems
    }

    /// What the instance that is to make a credential does not make.
    private func problems(of minting: TestCredential.Minting) -> [SettingsProblem] {
        guard let instance = instances[.auth]?[minting.instance] else { return [] }
        let label = "\(PluginKind.auth.section).\(minting.instance)"
        guard let plugin = plugins[label], !(plugin is any TokenMinter) else { return minting.problems(for: instance) }
        let minters = plugins.filter { $0.value is any TokenMinter }.keys.sorted()
        let help =
            minters.isEmpty ? "write { env: NAME } or { file: PATH }" : "these do: \(minters.joined(separator: ", "))"
        return [minting.problem("\(label) makes no tokens", at: "mint", help: help)]
    }
}
