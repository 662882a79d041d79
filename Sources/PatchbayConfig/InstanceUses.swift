package import PatchbayPlugin

extension GatewayConfiguration {
    /// What names instances, as far as it can be read. What can only be said of it when they are made is looked for with
    /// this, whatever else is wrong.
    package struct Uses: Sendable {
        package var tenants: [TenantUse] = []
        /// What tests have instances make.
        package var mintings: [TestCredential.Minting] = []
    }

    /// The instances of a tenant that may serve HTTP.
    package struct TenantUse: Sendable {
        /// In the order they are asked; those that can be read.
        package var auth: [Reference]
        /// The tenant's own, then those of workflows; those that can be read.
        package var pipelines: [Reference]
        /// Whether nothing is wrong with how `auth` is written, and so these are all.
        package var isAuthGood: Bool
        package var playground: String?
        let node: SettingsNode

        /// What is wrong with one of the tenant's settings, or with it as a whole.
        package func problem(_ fault: SettingsFault) -> SettingsProblem { node.problem(fault) }
    }

    /// Looks at instances that can be decoded, and at how they are used.
    package typealias Inspection = (Instances, Uses) -> [SettingsProblem]
}

extension GatewayConfiguration.PluginInstance {
    /// What is wrong with one of its settings, or with it as a whole.
    package func problem(_ fault: SettingsFault) -> SettingsProblem { node.problem(fault) }
}

extension Reference {
    /// What is wrong with the one it names, where it is named; nil for a default.
    package func problem(_ message: String, help: String? = nil) -> SettingsProblem? {
        node.map { SettingsProblem(range: $0.range, path: $0.path, message: message, help: help) }
    }
}
