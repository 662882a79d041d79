import Logging
import PatchbayConfig
import PatchbayPlugin

/// A configuration brought to life: the plugin instances, and the tenants that use them. A call keeps the one it
/// started with.
struct Deployment: Sendable {
    /// In the order they start; they stop in reverse.
    let instances: [LiveInstance]
    let server: ServerSettings
    let wallClock: @Sendable () -> Duration
    let tenants: [Tenant]
    let stores: [String: any StorePlugin]
    let auth: [String: any AuthPlugin]

    /// Makes every instance, without I/O.
    ///
    /// - Parameters:
    ///   - former: what is served now; its instances that need not change are taken over.
    ///   - access: what instances and tenants get of a store. Quotas get all of it: one of them may be about a certain kind
    ///     of store only, and whoever gives others less does not start quotas.
    /// - Throws: `Faults`, all of them.
    init(
        _ configuration: GatewayConfiguration, plugins: [PluginRegistration], logger: Logger,
        wallClock: @escaping @Sendable () -> Duration, after former: Deployment? = nil,
        access: (any StorePlugin) -> any StorePlugin = { $0 }
    ) throws(Faults) {
        var faults: [Fault] = []
        var instances: [LiveInstance] = []
        func make<Kind>(
            _ kind: PluginKind, as type: Kind.Type, with stores: [String: any StorePlugin] = [:]
        ) -> [String: Kind] {
            var made: [String: Kind] = [:]
            for (name, instance) in (configuration.instances[kind] ?? [:]).sorted(by: { $0.key < $1.key }) {
                let itsStores = instance.stores.compactMap { store in
                    instances.first { $0.kind == .store && $0.name == store }
                }
                if let same = former?.instances.first(where: { $0.kind == kind && $0.name == name }),
                    same.isSame(as: instance.fingerprint, with: itsStores)
                {
                    made[name] = same.plugin as? Kind
                    instances.append(same)
                    continue
                }
                var log = logger
                log[metadataKey: "plugin"] = "\(kind.section).\(name)"
                let context = PluginContext(name: name, logger: log, stores: stores, wallClock: wallClock)
                do {
                    guard let registration = plugins.registration(kind, instance.type) else { continue }
                    let plugin = try registration.make(instance.settings, context)
                    try (plugin as? any PipelinePlugin)?.checkRates()
                    made[name] = plugin as? Kind
                    instances.append(
                        LiveInstance(
                            kind: kind, name: name, plugin: plugin, fingerprint: instance.fingerprint,
                            stores: itsStores))
                } catch {
                    let fault = error as? SettingsFault ?? SettingsFault("\(error)")
                    faults.append(configuration.fault(fault, in: instance))
                }
            }
            return made
        }
        let whole = make(.store, as: (any StorePlugin).self)
        let stores = whole.mapValues(access)
        let auth = make(.auth, as: (any AuthPlugin).self, with: stores)
        let quotas = make(.quota, as: (any QuotaPlugin).self, with: whole)
        let pipelines = make(.pipeline, as: (any PipelinePlugin).self, with: stores)
        let policies = make(.icePolicy, as: (any ICEPolicyPlugin).self, with: stores)
        for tenant in configuration.tenants {
            var servers: [String: String] = [:]
            let providers =
                tenant.auth.map { (PluginKind.auth, $0, auth[$0] as? any RouteProvider) }
                + Set(tenant.pipelines.values).union([tenant.pipeline]).sorted().map {
                    (.pipeline, $0, pipelines[$0] as? any RouteProvider)
                }
            for (kind, name, provider) in providers {
                for route in provider?.routes ?? [] {
                    guard let other = servers.updateValue("\(kind.section).\(name)", forKey: route.path),
                        let instance = configuration.instances[kind]?[name], other != "\(kind.section).\(name)"
                    else { continue }
                    let fault = SettingsFault(
                        "the tenant '\(tenant.name)' has \(other) before it, which serves \(route.path) already")
                    faults.append(configuration.fault(fault, in: instance))
                }
            }
        }
        guard faults.isEmpty else { throw GatewayConfiguration.faults(faults) }

        self.instances = instances
        server = configuration.server
        self.wallClock = wallClock
        self.stores = stores
        self.auth = auth
        tenants = configuration.tenants.compactMap { tenant in
            // The configuration's check has seen that each name is there.
            guard let pipeline = pipelines[tenant.pipeline], let inbound = policies[tenant.inboundPolicy],
                let outbound = policies[tenant.outboundPolicy], let store = stores[tenant.store]
            else { return nil }
            return Tenant(
                instances: instances, name: tenant.name, matches: tenant.matches,
                auth: tenant.auth.compactMap { name in auth[name].map { Tenant.Auth(name: name, plugin: $0) } },
                allowsAnonymous: tenant.allowAnonymous,
                quotas: tenant.quotas.compactMap { name in
                    quotas[name].map {
                        Tenant.Quota(
                            name: name, plugin: $0,
                            admitsWhenUnavailable: configuration.instances[.quota]?[name]?.onUnavailable == .allow)
                    }
                },
                pipeline: Tenant.Pipeline(name: tenant.pipeline, plugin: pipeline),
                pipelinesByWorkflow: tenant.pipelines.compactMapValues { name in
                    pipelines[name].map { Tenant.Pipeline(name: name, plugin: $0) }
                },
                inbound: inbound, outbound: outbound, runs: WorkflowRuns(store: store, tenant: tenant.name),
                runsAreRegistered: tenant.runs == .registered, events: tenant.events, limits: tenant.limits)
        }
    }

    /// Starts every instance that is not, stores first. When one cannot, those that were started for it are stopped.
    ///
    /// - Parameter storesOnly: for commands that only read or write what is stored.
    func start(storesOnly: Bool = false) async throws(StartFailure) {
        var started: [LiveInstance] = []
        for instance in instances where !storesOnly || instance.kind == .store {
            do {
                if try await instance.start() { started.append(instance) }
            } catch {
                for earlier in started.reversed() { await earlier.stop() }
                throw error
            }
        }
    }

    func stop() async {
        for instance in instances.reversed() { await instance.stop() }
    }

    /// The tenant of a request, and the rest of its path: the longest path prefix wins, then the host, then `any`.
    func tenant(host: String, path: [String]) -> (tenant: Tenant, path: ArraySlice<String>)? {
        let hostName = Self.name(ofHost: host)
        var best: (tenant: Tenant, path: ArraySlice<String>, rank: Int)?
        for tenant in tenants {
            for match in tenant.matches {
                let candidate: (rest: ArraySlice<String>, rank: Int)? =
                    switch match {
                    case .any: (path[...], 0)
                    case .host(let name): name == hostName ? (path[...], 1) : nil
                    case .path(let prefix):
                        path.starts(with: prefix.split(separator: "/").map(String.init))
                            ? (path.dropFirst(prefix.split(separator: "/").count), 2 + prefix.utf8.count) : nil
                    }
                if let candidate, candidate.rank > best?.rank ?? -1 {
                    best = (tenant, candidate.rest, candidate.rank)
                }
            }
        }
        return best.map { ($0.tenant, $0.path) }
    }

    /// A `Host` header without its port, and without the dot that ends a fully qualified name.
    private static func name(ofHost host: String) -> String {
        var name = host.hasPrefix("[") ? host.prefix { $0 != "]" }.dropFirst() : host.prefix { $0 != ":" }
        if name.hasSuffix(".") { name.removeLast() }
        return name.lowercased()
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

/// Somebody whose callers have rules of their own.
struct Tenant: Sendable {
    struct Auth: Sendable {
        var name: String
        var plugin: any AuthPlugin
    }

    struct Quota: Sendable {
        var name: String
        var plugin: any QuotaPlugin
        var admitsWhenUnavailable: Bool

        var timing: QuotaTiming { type(of: plugin).timing }
    }

    struct Pipeline: Sendable {
        var name: String
        var plugin: any PipelinePlugin
    }

    /// All of its configuration's: who holds a tenant has them live on.
    var instances: [LiveInstance]
    var name: String
    var matches: [TenantMatch]
    var auth: [Auth]
    var allowsAnonymous: Bool
    var quotas: [Quota]
    var pipeline: Pipeline
    var pipelinesByWorkflow: [Int: Pipeline]
    var inbound: any ICEPolicyPlugin
    var outbound: any ICEPolicyPlugin
    var runs: WorkflowRuns
    /// Whether a run must be written down before it can be called.
    var runsAreRegistered: Bool
    /// What their clients are told.
    var events: EventsChoice
    var limits: LimitSettings

    func exposure(to principal: Principal) -> EventExposure {
        events.exposure(instance: principal.authInstance, isVisitor: principal.isVisitor)
    }

    /// The instances that serve HTTP.
    var routeProviders: [any RouteProvider] {
        let pipelines = [pipeline] + pipelinesByWorkflow.values
        return auth.compactMap { $0.plugin as? any RouteProvider }
            + pipelines.compactMap { $0.plugin as? any RouteProvider }
    }

    func pipeline(forWorkflow id: Int) -> Pipeline {
        pipelinesByWorkflow[id] ?? pipeline
    }

    func quotas(_ timing: QuotaTiming) -> [Quota] {
        quotas.filter { $0.timing == timing }
    }

    /// Whether the playground's page would find what it asks for.
    var startsEmbedSessions: Bool {
        let path = Router.prefix + ["public", "embed", "init"]
        return routeProviders.contains { provider in
            provider.routes.contains { Router.parameters(of: path[...], in: $0.path) != nil }
        }
    }

    /// Whether callers can only connect through a relay: no other candidate of ours is kept.
    var onlyRelays: Bool { outbound.onlyRelays }

    /// Runs the chain: the first that accepts wins, a rejection ends it, and when all pass nobody knows the caller.
    ///
    /// - Parameter takesAnonymous: where the tenant has callers whom nobody knows, they are accepted.
    func authenticate(_ request: ConnectRequest, takesAnonymous: Bool = true) async throws -> AuthOutcome {
        for instance in auth {
            switch try await instance.plugin.authenticate(request) {
            case .pass: continue
            case .accept(var principal):
                // Ids are unique within an instance only: another's user 7 is somebody else.
                if case .user(let id) = principal.runOwner { principal.runOwner = .user("\(instance.name)/\(id)") }
                principal.authInstance = instance.name
                return .accept(principal)
            case .reject(var denial):
                denial.authInstance = instance.name
                return .reject(denial)
            }
        }
        return allowsAnonymous && takesAnonymous ? .accept(Principal(id: "anonymous", isVisitor: true)) : .pass
    }

    /// Asks the instance that let a caller in whether it still would.
    ///
    /// - Returns: nil where it would.
    func recheck(_ principal: Principal) async throws -> Denial? {
        let instance = auth.first { $0.name == principal.authInstance }
        return try await instance?.plugin.recheck(principal)
    }
}
