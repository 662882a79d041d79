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
    private let table: TenantTable

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
        var maker = InstanceMaker(plugins: plugins, logger: logger, wallClock: wallClock)
        maker.former = Dictionary(uniqueKeysWithValues: (former?.instances ?? []).map { ($0.label, $0) })
        let all = configuration.instances
        let whole = maker.make(.store, of: all, as: (any StorePlugin).self)
        let stores = whole.mapValues(access)
        let auth = maker.make(.auth, of: all, as: (any AuthPlugin).self, with: stores)
        let quotas = maker.make(.quota, of: all, as: (any QuotaPlugin).self, with: whole)
        let pipelines = maker.make(.pipeline, of: all, as: (any PipelinePlugin).self, with: stores)
        let policies = maker.make(.icePolicy, of: all, as: (any ICEPolicyPlugin).self, with: stores)
        let problems =
            maker.faults.map { $0.instance.problem($0.fault) }
            + UseCheck(maker.instances, of: all).problems(configuration.uses)
        guard problems.isEmpty else { throw GatewayConfiguration.faults(problems.map { configuration.fault($0) }) }

        let instances = maker.instances
        let tenantCounts = configuration.tenants.reduce(into: [String: Int]()) { counts, tenant in
            for name in Set(tenant.auth) { counts[name, default: 0] += 1 }
        }
        self.instances = instances
        server = configuration.server
        self.wallClock = wallClock
        self.stores = stores
        self.auth = auth
        let tenants: [Tenant] = configuration.tenants.compactMap { tenant in
            // The configuration's check has seen that each name is there.
            guard let pipeline = pipelines[tenant.pipeline], let inbound = policies[tenant.inboundPolicy],
                let outbound = policies[tenant.outboundPolicy], let store = stores[tenant.store]
            else { return nil }
            return Tenant(
                instances: instances, name: tenant.name, matches: tenant.matches,
                auth: tenant.auth.compactMap { name in
                    auth[name].map { Tenant.Auth(name: name, plugin: $0, tenantCount: tenantCounts[name] ?? 1) }
                },
                allowsAnonymous: tenant.allowAnonymous, origins: tenant.origins,
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
                runsAreRegistered: tenant.runs == .registered, keepRuns: tenant.keepRuns,
                playground: tenant.playground, events: tenant.events, limits: tenant.limits)
        }
        self.tenants = tenants
        table = TenantTable(tenants)
    }

    /// Starts every instance that is not, stores first. When one cannot, the others are tried all the same, but for those
    /// that need it, and then all that were started are stopped.
    ///
    /// - Parameters:
    ///   - storesOnly: for commands that only read or write what is stored.
    ///   - patience: how long one instance may take to start; and to stop, where another could not start.
    /// - Throws: all that could not start.
    func start(storesOnly: Bool = false, patience: Duration = .seconds(30)) async throws(StartFailures) {
        var (started, failed): ([LiveInstance], [LiveInstance]) = ([], [])
        var failures: [StartFailure] = []
        for instance in instances where !storesOnly || instance.kind == .store {
            if instance.stores.contains(where: { store in failed.contains { $0 === store } }) { continue }
            do {
                if try await instance.start(within: patience) { started.append(instance) }
            } catch {
                failures.append(error)
                failed.append(instance)
                if Task.isCancelled { break }
            }
        }
        if failures.isEmpty { return }
        // Whoever is cancelled waits for it, too.
        await Task { [started] in
            for each in started.reversed() { try? await within(patience) { await each.stop() } }
        }.value
        throw StartFailures(failures: failures)
    }

    func stop() async {
        for instance in instances.reversed() { await instance.stop() }
    }

    /// The tenant of a request, and the rest of its path: the longest path prefix wins, then the host, then `any`.
    func tenant(host: String, path: [String]) -> (tenant: Tenant, path: ArraySlice<String>)? {
        table.tenant(host: host, path: path)
    }

    /// Whether a caller whom a tenant of this or of an earlier configuration let in still would be: what was taken out of
    /// the file since is no longer good, be it a credential, its instance or the tenant.
    ///
    /// - Returns: nil where it would.
    func recheck(_ principal: Principal, of tenant: Tenant) async throws -> Denial? {
        if hasExpired(principal) { return Denial(code: "credential_expired", message: "The credential has expired") }
        guard let instance = principal.authInstance else { return nil }
        guard let present = tenants.first(where: { $0.name == tenant.name && $0.has(instance) }) else {
            return Denial(code: "credential_withdrawn", message: "The credential is no longer good")
        }
        return try await present.recheck(principal)
    }

    /// Whether a caller's credential has ended, by more than any clock may be off. An embed session only opens sockets: a
    /// call may outlive it.
    private func hasExpired(_ principal: Principal) -> Bool {
        if case .embedToken = principal.runOwner { return false }
        return principal.expires.map { wallClock() >= $0 + .seconds(60) } ?? false
    }
}

extension [any RouteProvider] {
    /// Whether pages with an embed token find what they ask for.
    var startEmbedSessions: Bool {
        let path = Router.prefix + ["public", "embed", "init"]
        return contains { provider in
            provider.routes.contains { Router.parameters(of: path[...], in: $0.path) != nil }
        }
    }
}

/// Somebody whose callers have rules of their own.
struct Tenant: Sendable {
    struct Auth: Sendable {
        var name: String
        var plugin: any AuthPlugin
        /// How many tenants have it.
        var tenantCount = 1

        /// Whether those whom it lets in are visitors of pages, whose runs have numbers of the gateway's.
        var isForVisitors: Bool { [plugin].compactMap { $0 as? any RouteProvider }.startEmbedSessions }
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
    /// Pages of which hosts may call; nil where only callers whom nobody knows are asked.
    var origins: OriginsChoice?
    var quotas: [Quota]
    var pipeline: Pipeline
    var pipelinesByWorkflow: [Int: Pipeline]
    var inbound: any ICEPolicyPlugin
    var outbound: any ICEPolicyPlugin
    var runs: WorkflowRuns
    /// Whether a run must be written down before it can be called.
    var runsAreRegistered: Bool
    /// How long an open run is kept, from its first call and again from that call's end.
    var keepRuns: Duration
    /// The embed token that its page at `/` calls with.
    var playground: String?
    /// What their clients are told.
    var events: EventsChoice
    var limits: LimitSettings

    func exposure(to principal: Principal) -> EventExposure {
        events.exposure(instance: principal.authInstance, isVisitor: principal.isVisitor)
    }

    /// The instances that serve HTTP, with the names of those that are auth instances.
    var routeProviders: [(authInstance: String?, plugin: any RouteProvider)] {
        let pipelines = [pipeline] + pipelinesByWorkflow.values
        let plugins =
            auth.map { ($0.name, $0.plugin as? any RouteProvider) }
            + pipelines.map { (nil, $0.plugin as? any RouteProvider) }
        return plugins.compactMap { name, plugin in plugin.map { (name, $0) } }
    }

    func pipeline(forWorkflow id: Int) -> Pipeline {
        pipelinesByWorkflow[id] ?? pipeline
    }

    func quotas(_ timing: QuotaTiming) -> [Quota] {
        quotas.filter { $0.timing == timing }
    }

    /// Whether pages with an embed token find what they ask for.
    var startsEmbedSessions: Bool { routeProviders.map(\.plugin).startEmbedSessions }

    /// Whether there are callers who choose the numbers of their runs.
    var letsCallersNumberRuns: Bool { !runsAreRegistered && (allowsAnonymous || auth.contains { !$0.isForVisitors }) }

    /// Whether callers can only connect through a relay: no other candidate of ours is kept.
    var onlyRelays: Bool { outbound.onlyRelays }

    /// Why nobody could tell who is calling.
    struct AuthFailure: Error {
        var instance: String
        var cause: any Error
    }

    /// Runs the chain: the first that accepts wins, a rejection ends it unless another may know better, and when all pass
    /// nobody knows the caller.
    ///
    /// - Parameter takesAnonymous: where the tenant has callers whom nobody knows, they are accepted.
    func authenticate(
        _ request: ConnectRequest, takesAnonymous: Bool = true
    ) async throws(AuthFailure) -> AuthOutcome {
        var request = request
        var first: Denial?
        for instance in auth {
            request.tenantCount = instance.tenantCount
            let outcome: AuthOutcome
            do {
                outcome = try await instance.plugin.authenticate(request)
            } catch {
                throw AuthFailure(instance: instance.name, cause: error)
            }
            switch outcome {
            case .pass: continue
            case .accept(var principal):
                // Ids are unique within an instance only: another's user 7 is somebody else.
                if case .user(let id) = principal.runOwner { principal.runOwner = .user("\(instance.name)/\(id)") }
                principal.authInstance = instance.name
                return .accept(principal)
            case .reject(var denial):
                denial.authInstance = instance.name
                if denial.isFinal { return .reject(denial) }
                first = first ?? denial
            }
        }
        if let first { return .reject(first) }
        return allowsAnonymous && takesAnonymous ? .accept(Principal(id: Principal.anonymous, isVisitor: true)) : .pass
    }

    /// Whether an auth instance is among its own.
    func has(_ authInstance: String) -> Bool { auth.contains { $0.name == authInstance } }

    /// Asks the instance that let a caller in whether it still would.
    ///
    /// - Returns: nil where it would.
    func recheck(_ principal: Principal) async throws -> Denial? {
        let instance = auth.first { $0.name == principal.authInstance }
        return try await instance?.plugin.recheck(principal)
    }
}
