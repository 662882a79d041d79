package import PatchbayPlugin

/// A whole configuration without faults.
package struct GatewayConfiguration: Sendable {
    package var server: ServerSettings
    package var media: MediaSettings
    /// Servers that callers get TURN credentials for; at most one has a secret.
    package var iceServers: [ICEServerSettings]
    /// Declared instances, and predeclared ones that a tenant uses.
    package var instances: [PluginKind: [String: PluginInstance]]
    /// By name.
    package var tenants: [Tenant]
    /// Those of the file, then those of further files.
    package var tests: [TestCase]
    /// What a running gateway cannot change, by its path in the file.
    let fixed: [String: Fingerprint]
    let sources: Sources

    /// What is other here than in a configuration that the process runs with, and takes a new process.
    package func needsRestart(after running: GatewayConfiguration) -> [String] {
        Set(fixed.keys).union(running.fixed.keys).filter { fixed[$0] != running.fixed[$0] }.sorted()
    }

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
        /// Names of quota instances.
        package var quotas: [String]
        /// Name of the pipeline of workflows that `pipelines` does not have.
        package var pipeline: String
        /// Names of pipelines by workflow id.
        package var pipelines: [Int: String]
        package var runs: RunsMode
        /// Name of the store instance that has its runs.
        package var store: String
        /// Name of the ICE policy for the client's candidates.
        package var inboundPolicy: String
        /// Name of the ICE policy for the gateway's candidates.
        package var outboundPolicy: String
        /// What the clients are told of a call.
        package var events: EventsChoice
        package var limits: LimitSettings

        /// The name of the pipeline that answers a workflow's calls.
        package func pipeline(forWorkflow id: Int) -> String { pipelines[id] ?? pipeline }
    }

    /// The fault that a plugin found in its settings, where the setting stands.
    package func fault(_ fault: SettingsFault, in instance: PluginInstance) -> Fault {
        let field = fault.field.flatMap { instance.node[$0] }
        return sources.fault(
            SettingsProblem(
                range: field?.range ?? instance.node.anchor, path: field?.path ?? instance.node.path,
                message: fault.description))
    }

    /// All of several faults, in the order of the file.
    package static func faults(_ faults: [Fault]) -> Faults { Faults(faults) }
}
