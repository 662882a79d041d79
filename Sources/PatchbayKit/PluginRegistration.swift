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
    public static func store(_ plugin: (some StorePlugin).Type) -> Self { Self(plugin, kind: .store) }
}

extension [PluginRegistration] {
    /// What the configuration is checked against.
    var catalogue: PluginCatalogue {
        Dictionary(grouping: self, by: \.kind).mapValues { $0.map(\.description) }
    }

    func registration(_ kind: PluginKind, _ type: String) -> PluginRegistration? {
        first { $0.kind == kind && $0.description.type == type }
    }

    /// A type that is registered twice within a kind; which of the two a configuration means, nobody could tell.
    var duplicate: PluginRegistration? {
        indices.lazy.compactMap { index in
            let plugin = self[index]
            return self[..<index].registration(plugin.kind, plugin.description.type).map { _ in plugin }
        }.first
    }
}

extension ArraySlice<PluginRegistration> {
    fileprivate func registration(_ kind: PluginKind, _ type: String) -> PluginRegistration? {
        first { $0.kind == kind && $0.description.type == type }
    }
}
