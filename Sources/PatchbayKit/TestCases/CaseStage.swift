import Logging
import PatchbayConfig
import PatchbayPlugin

/// Where one test is tried, as if it were the only one: on instances that no other test has met, over stores in which only
/// it has written. Whatever it does in several steps it does on the same.
///
/// Each instance is made when it is needed first, without I/O. A copy from before that is another test's.
struct CaseStage {
    private let configuration: GatewayConfiguration
    /// What the keys start with of which a store has nothing.
    private let hidden: [String]
    private var maker: InstanceMaker
    private var stores: [String: any StorePlugin] = [:]
    private var authPlugins: [String: any AuthPlugin] = [:]
    private var pipelines: [String: any PipelinePlugin] = [:]

    /// - Parameter all: of the whole configuration; those that leave nothing of a test behind are on every stage.
    init(
        _ configuration: GatewayConfiguration, _ all: [LiveInstance], plugins: [PluginRegistration],
        hiding hidden: [String], logger: Logger, wallClock: @escaping @Sendable () -> Duration
    ) {
        self.configuration = configuration
        self.hidden = hidden
        maker = InstanceMaker(plugins: plugins, logger: logger, wallClock: wallClock)
        maker.former = Dictionary(all.filter(\.isForAllTests).map { ($0.label, $0) }) { $1 }
    }

    /// What was needed so far.
    var instances: [LiveInstance] { maker.instances }

    /// Whether other tests have it, too.
    func shares(_ instance: LiveInstance) -> Bool { maker.former[instance.label] === instance }

    /// A tenant whose callers meet what is this test's own.
    mutating func tenant(_ served: Tenant) throws(CaseFailure) -> Tenant {
        guard let settings = configuration.tenants.first(where: { $0.name == served.name }) else {
            throw CaseFailure("there is no tenant '\(served.name)'")
        }
        var tenant = served
        tenant.runs = WorkflowRuns(store: try store(settings.store), tenant: served.name)
        for index in tenant.auth.indices {
            tenant.auth[index].plugin = try authPlugin(tenant.auth[index].name)
        }
        tenant.pipeline = try own(served.pipeline)
        for (id, pipeline) in served.pipelinesByWorkflow { tenant.pipelinesByWorkflow[id] = try own(pipeline) }
        tenant.instances = instances
        return tenant
    }

    mutating func authPlugin(_ name: String) throws(CaseFailure) -> any AuthPlugin {
        if let made = authPlugins[name] { return made }
        let made = try make(.auth, name, as: (any AuthPlugin).self)
        authPlugins[name] = made
        return made
    }

    /// A test calls nobody, so that only what answers requests is made anew.
    private mutating func own(_ served: Tenant.Pipeline) throws(CaseFailure) -> Tenant.Pipeline {
        guard served.plugin is any RouteProvider else { return served }
        if let made = pipelines[served.name] { return Tenant.Pipeline(name: served.name, plugin: made) }
        let made = try make(.pipeline, served.name, as: (any PipelinePlugin).self)
        pipelines[served.name] = made
        return Tenant.Pipeline(name: served.name, plugin: made)
    }

    private mutating func store(_ name: String) throws(CaseFailure) -> any StorePlugin {
        if let made = stores[name] { return made }
        let made = ScratchStore(over: try make(.store, name, as: (any StorePlugin).self), hiding: hidden)
        stores[name] = made
        return made
    }

    private mutating func make<Kind>(
        _ kind: PluginKind, _ name: String, as type: Kind.Type
    ) throws(CaseFailure) -> Kind {
        let label = "\(kind.section).\(name)"
        guard let instance = configuration.instances[kind]?[name] else { throw CaseFailure("there is no \(label)") }
        for needed in instance.stores { _ = try store(needed) }
        let made = maker.make(kind, of: [kind: [name: instance]], as: type, with: stores)
        guard let plugin = made[name] else {
            // All were made once before: a file may be gone.
            let reason = maker.faults.last.map { ": \($0.fault)" } ?? ""
            throw CaseFailure("\(label) could not be made for the test\(reason)")
        }
        return plugin
    }
}

extension LiveInstance {
    /// Whether no test leaves anything behind in it that another could meet. Tests only read what is in a store itself.
    fileprivate var isForAllTests: Bool {
        switch kind {
        case .store: return true
        case .auth:
            guard stores.isEmpty, let plugin = plugin as? any AuthPlugin else { return false }
            return !type(of: plugin).remembersCallers
        case .quota, .pipeline, .icePolicy: return false
        }
    }
}
