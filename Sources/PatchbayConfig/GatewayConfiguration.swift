package import PatchbayPlugin

/// A whole configuration without faults.
package struct GatewayConfiguration: Sendable {
    package var server: ServerSettings
    package var media: MediaSettings
    /// Servers that callers get TURN credentials for; at most one has a secret.
    package var iceServers: [ICEServerSettings]
    /// Declared instances, and predeclared ones that a tenant uses.
    package var instances: Instances
    /// By name.
    package var tenants: [Tenant]
    /// Those of the file, then those of further files.
    package var tests: [TestCase]
    package let uses: Uses
    /// What passes, though nobody would want it.
    let oddities: [SettingsProblem]
    /// What a running gateway cannot change, by its path in the file.
    let fixed: [String: Fingerprint]
    let sources: Sources

    /// What is other here than in a configuration that the process runs with, and takes a new process.
    package func needsRestart(after running: GatewayConfiguration) -> [String] {
        Set(fixed.keys).union(running.fixed.keys).filter { fixed[$0] != running.fixed[$0] }.sorted()
    }

    /// Names of tenants by what became of them.
    package struct TenantChanges: Hashable, Sendable {
        package var added: [String] = []
        package var removed: [String] = []
        package var changed: [String] = []
    }

    /// What is other about the tenants here than in an earlier configuration. A tenant whose entry is the same is, whatever
    /// became of the instances it names.
    package func tenantChanges(after former: GatewayConfiguration) -> TenantChanges {
        let before = Dictionary(former.tenants.map { ($0.name, Fingerprint($0.node)) }) { $1 }
        let names = Set(tenants.map(\.name))
        return TenantChanges(
            added: tenants.map(\.name).filter { before[$0] == nil },
            removed: former.tenants.map(\.name).filter { !names.contains($0) },
            changed: tenants.filter { before[$0.name] ?? Fingerprint($0.node) != Fingerprint($0.node) }.map(\.name))
    }

    /// By kind and name.
    package typealias Instances = [PluginKind: [String: PluginInstance]]

    /// What an instance says against its settings.
    package typealias InstanceFault = (instance: PluginInstance, fault: SettingsFault)

    /// One named use of a plugin.
    package struct PluginInstance: Sendable {
        package var kind: PluginKind
        package var name: String
        package var type: String
        /// Of the type that the catalogue gave for the plugin.
        package var settings: any PluginSettings
        /// The stores its settings name.
        package var stores: [String]
        /// For a quota; `deny` for the others.
        package var onUnavailable: OnUnavailable
        /// Of its type, its settings, and what these take from elsewhere.
        package var fingerprint: Fingerprint
        let node: SettingsNode
    }

    /// Somebody whose callers have rules of their own.
    package struct Tenant: Sendable {
        package var name: String
        package var matches: [TenantMatch]
        /// Names of auth instances, in the order they are asked.
        package var auth: [String]
        package var allowAnonymous: Bool
        /// Pages of which hosts may call; nil where only callers whom nobody knows are asked.
        package var origins: OriginsChoice?
        /// Names of quota instances.
        package var quotas: [String]
        /// Name of the pipeline of workflows that `pipelines` does not have.
        package var pipeline: String
        /// Names of pipelines by workflow id.
        package var pipelines: [Int: String]
        package var runs: RunsMode
        /// How long its store remembers the call of an open run.
        package var keepRuns: Duration
        /// Name of the store instance that has its runs.
        package var store: String
        /// The embed token of its page at `/`.
        package var playground: String?
        /// Name of the ICE policy for the client's candidates.
        package var inboundPolicy: String
        /// Name of the ICE policy for the gateway's candidates.
        package var outboundPolicy: String
        /// What the clients are told of a call.
        package var events: EventsChoice
        package var limits: LimitSettings
        let node: SettingsNode

        /// The name of the pipeline that answers a workflow's calls.
        package func pipeline(forWorkflow id: Int) -> String { pipelines[id] ?? pipeline }
    }

    /// The fault that a plugin found in its settings, where the setting stands.
    package func fault(_ fault: SettingsFault, in instance: PluginInstance) -> Fault {
        sources.fault(instance.node.problem(fault))
    }

    /// A problem, beside its source line.
    package func fault(_ problem: SettingsProblem) -> Fault {
        sources.fault(problem)
    }

    /// What a plugin says of a tenant that can be served, at the setting it is about.
    package func warning(_ fault: SettingsFault, in tenant: Tenant) -> Fault {
        warning(tenant.node.problem(fault))
    }

    /// Likewise, of an instance that can be made.
    package func warning(_ fault: SettingsFault, in instance: PluginInstance) -> Fault {
        warning(instance.node.problem(fault))
    }

    /// What passes, though nobody would want it, as far as that can be said of the text alone.
    package var warnings: [Fault] { oddities.map { warning($0) } }

    /// What nobody would want, beside its source line.
    package func warning(_ problem: SettingsProblem) -> Fault {
        var fault = sources.fault(problem)
        fault.isWarning = true
        return fault
    }

    /// Declared instances that no tenant has, and no other instance that one has; for tests alone there need be none.
    package var unusedInstances: [PluginInstance] {
        var used: [PluginKind: Set<String>] = [:]
        for tenant in tenants {
            used[.auth, default: []].formUnion(tenant.auth)
            used[.quota, default: []].formUnion(tenant.quotas)
            used[.pipeline, default: []].formUnion([tenant.pipeline] + tenant.pipelines.values)
            used[.icePolicy, default: []].formUnion([tenant.inboundPolicy, tenant.outboundPolicy])
            used[.store, default: []].insert(tenant.store)
        }
        for (kind, instances) in instances {
            for (name, instance) in instances where used[kind]?.contains(name) == true {
                used[.store, default: []].formUnion(instance.stores)
            }
        }
        return instances.flatMap { kind, instances in
            // One that need not be declared stands where it is named.
            instances.values.filter { used[kind]?.contains($0.name) != true && $0.node["type"] != nil }
        }
    }

    /// All of several faults, in the order of the file.
    package static func faults(_ faults: [Fault]) -> Faults { Faults(faults) }
}

extension SettingsNode {
    /// What is wrong with one of its settings, or with it as a whole.
    func problem(_ fault: SettingsFault) -> SettingsProblem {
        let field = fault.field.flatMap { self[$0] }?.part(at: fault.place)
        return SettingsProblem(range: field?.range ?? anchor, path: field?.path ?? path, message: fault.description)
    }
}
