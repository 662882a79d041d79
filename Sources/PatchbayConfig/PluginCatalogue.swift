package import PatchbayPlugin

/// The kinds of plugins a configuration names instances of.
package enum PluginKind: String, Sendable, CaseIterable {
    case store, auth, quota, pipeline
    case icePolicy = "ICE policy"

    /// The key its instances stand under.
    package var section: String {
        switch self {
        case .store: "stores"
        case .auth: "auth"
        case .quota: "quotas"
        case .pipeline: "pipelines"
        case .icePolicy: "ice_policies"
        }
    }
}

/// What a configuration has to know about a plugin.
package struct PluginDescription: Sendable {
    package var type: String
    package var summary: String
    package var settings: any PluginSettings.Type
    /// An instance of the same name is there without being declared; its settings are the defaults.
    package var isPredeclared: Bool

    package init(type: String, summary: String, settings: any PluginSettings.Type, isPredeclared: Bool = false) {
        self.type = type
        self.summary = summary
        self.settings = settings
        self.isPredeclared = isPredeclared
    }
}

/// The plugins of this build.
package typealias PluginCatalogue = [PluginKind: [PluginDescription]]

/// The keys of an instance that are the host's.
struct InstanceSettings: PluginSettings {
    @Field("Which plugin it is") var type: String
}

/// The keys of a quota instance that are the host's.
struct QuotaInstanceSettings: PluginSettings {
    @Field("Which plugin it is") var type: String
    @Field("What happens to a call when the quota cannot tell") var onUnavailable: OnUnavailable = .deny
}

/// What happens to a call when a quota throws.
package enum OnUnavailable: String, FieldChoice {
    case allow, deny
}

extension PluginKind {
    var hostSettings: any PluginSettings {
        switch self {
        case .quota: QuotaInstanceSettings()
        case .store, .auth, .pipeline, .icePolicy: InstanceSettings()
        }
    }
}
