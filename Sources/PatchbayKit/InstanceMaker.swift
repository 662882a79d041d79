import Logging
import PatchbayConfig
import PatchbayPlugin

/// Makes a configuration's instances, without I/O, and keeps what they say against their settings.
struct InstanceMaker {
    let plugins: [PluginRegistration]
    let logger: Logger
    let wallClock: @Sendable () -> Duration
    /// What is there already, by label, as what is served now: those that need not change are taken over.
    var former: [String: LiveInstance] = [:]
    /// In the order they were made.
    private(set) var instances: [LiveInstance] = []
    private(set) var faults: [GatewayConfiguration.InstanceFault] = []
    private var stores: [String: LiveInstance] = [:]

    init(plugins: [PluginRegistration], logger: Logger, wallClock: @escaping @Sendable () -> Duration) {
        self.plugins = plugins
        self.logger = logger
        self.wallClock = wallClock
    }

    /// Makes those of one kind; stores come first.
    ///
    /// - Parameter stores: what they get of each store.
    mutating func make<Kind>(
        _ kind: PluginKind, of all: GatewayConfiguration.Instances, as type: Kind.Type,
        with stores: [String: any StorePlugin] = [:]
    ) -> [String: Kind] {
        var made: [String: Kind] = [:]
        for (name, instance) in (all[kind] ?? [:]).sorted(by: { $0.key < $1.key }) {
            let itsStores = instance.stores.compactMap { self.stores[$0] }
            // A store that is faulty, or not there, is a fault already.
            guard kind == .store || itsStores.count == instance.stores.count else { continue }
            let label = "\(kind.section).\(name)"
            if let same = former[label], same.isSame(as: instance.fingerprint, with: itsStores) {
                made[name] = same.plugin as? Kind
                keep(same)
                continue
            }
            var log = logger
            log[metadataKey: "plugin"] = "\(label)"
            var context = PluginContext(name: name, logger: log, stores: stores, wallClock: wallClock)
            context.findFormer = { [weak former = former[label]] in former?.plugin }
            do {
                guard let registration = plugins.registration(kind, instance.type) else { continue }
                let plugin = try registration.make(instance.settings, context)
                try (plugin as? any PipelinePlugin)?.checkRates()
                try (plugin as? any QuotaPlugin)?.checkRule(instance)
                made[name] = plugin as? Kind
                keep(
                    LiveInstance(
                        kind: kind, name: name, plugin: plugin, fingerprint: instance.fingerprint, stores: itsStores))
            } catch {
                faults.append((instance, error as? SettingsFault ?? SettingsFault("\(error)")))
            }
        }
        return made
    }

    private mutating func keep(_ instance: LiveInstance) {
        instances.append(instance)
        if instance.kind == .store { stores[instance.name] = instance }
    }
}

extension PipelinePlugin {
    /// - Throws: a `SettingsFault` when no call could have the pipeline.
    fileprivate func checkRates() throws(SettingsFault) {
        let rates = [8000, 16_000, 24_000, 48_000]
        if let odd = [audio.inputRate, audio.outputRate].first(where: { !rates.contains($0) }) {
            throw SettingsFault("its `audio` says \(odd) Hz; the gateway has 8000, 16000, 24000 and 48000")
        }
        guard (.seconds(1) ... .seconds(3600)).contains(playoutLimit) else {
            throw SettingsFault("its `playoutLimit` says \(playoutLimit); it can be a second to an hour")
        }
    }
}

extension QuotaPlugin {
    /// - Throws: a `SettingsFault` for a rule that the quota does not follow.
    fileprivate func checkRule(_ instance: GatewayConfiguration.PluginInstance) throws(SettingsFault) {
        guard Self.canAlwaysTell, instance.onUnavailable == .allow else { return }
        throw SettingsFault(
            "\(instance.type) has rules of its own for when nobody can be asked: leave it out", field: "on_unavailable")
    }
}
