internal import PatchbayConfig
public import PatchbayPlugin

/// A plugin type that a gateway has in it: the one place where its type is known and can be forgotten.
public struct PluginRegistration: Sendable {
    let kind: PluginKind
    let description: PluginDescription
    let make: @Sendable (any PluginSettings, PluginContext) throws -> any Plugin

    private init<P: Plugin>(_ plugin: P.Type, kind: PluginKind, isPredeclared: Bool = false) {
        self.kind = kind
        description = PluginDescription(
            type: P.type, summary: P.summary, settings: P.Settings.self, isPredeclared: isPredeclared)
        make = { settings, context in
            guard let settings = settings as? P.Settings else {
                throw SettingsFault("the settings of '\(context.name)' are not those of '\(P.type)'")
            }
            return try P(settings: settings, context: context)
        }
    }

    /// Decides who is calling.
    public static func auth(_ plugin: (some AuthPlugin).Type) -> Self { Self(plugin, kind: .auth) }

    /// Decides whether one more call may start.
    public static func quota(_ plugin: (some QuotaPlugin).Type) -> Self { Self(plugin, kind: .quota) }

    /// Answers calls.
    public static func pipeline(_ plugin: (some PipelinePlugin).Type) -> Self { Self(plugin, kind: .pipeline) }

    /// Decides which ICE candidates are used.
    ///
    /// - Parameter isPredeclared: tenants can name its type without an entry under `ice_policies:`.
    public static func icePolicy(_ plugin: (some ICEPolicyPlugin).Type, isPredeclared: Bool = false) -> Self {
        Self(plugin, kind: .icePolicy, isPredeclared: isPredeclared)
    }

    /// Keeps what outlives a call.
    ///
    /// - Parameter isPredeclared: it can be named without an entry under `stores:`; a tenant's runs are in the one
    ///   called `memory` when the file declares no store.
    public static func store(_ plugin: (some StorePlugin).Type, isPredeclared: Bool = false) -> Self {
        Self(plugin, kind: .store, isPredeclared: isPredeclared)
    }
}

extension [PluginRegistration] {
    /// What the configuration is checked against.
    var catalogue: PluginCatalogue {
        Dictionary(grouping: self, by: \.kind).mapValues { $0.map(\.description) }
    }

    func registration(_ kind: PluginKind, _ type: String) -> PluginRegistration? {
        first { $0.kind == kind && $0.description.type == type }
    }

    /// What is wrong with the program itself: a type that is there twice within a kind.
    var programFault: String? {
        var seen: Set<[String]> = []
        for plugin in self {
            guard seen.insert([plugin.kind.rawValue, plugin.description.type]).inserted else {
                return "the \(plugin.kind.rawValue) plugin '\(plugin.description.type)' is registered twice"
            }
        }
        return nil
    }
}
