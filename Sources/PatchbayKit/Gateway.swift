import Audio
import Foundation
import Logging
import Media
import PatchbayConfig
import PatchbayPlugin
import ServiceLifecycle
import Signaling
import Synchronization
import UnixSignals
import Wire

/// The gateway: plugins, media loops and listeners, from start to end.
struct Gateway: Sendable {
    private let configuration: GatewayConfiguration
    private let deployment: Deployment
    private let plugins: [PluginRegistration]
    private let logger: Logger

    init(_ configuration: GatewayConfiguration, plugins: [PluginRegistration], logger: Logger) throws(Faults) {
        self.configuration = configuration
        self.plugins = plugins
        self.logger = logger
        deployment = try Deployment(
            configuration, plugins: plugins, logger: logger,
            wallClock: { .seconds(Date().timeIntervalSince1970) })
    }

    /// Starts everything, serves until SIGTERM or SIGINT, and takes it down in reverse.
    ///
    /// - Parameters:
    ///   - load: reads the configuration again, for SIGHUP and the admin port.
    ///   - announce: told the URL of each listener once it listens.
    /// - Throws: what could not start, before anything listens.
    func run(
        load: @escaping @Sendable () throws(Faults) -> GatewayConfiguration,
        announce: @escaping @Sendable (_ what: String, _ url: String) -> Void
    ) async throws {
        // Until they are trapped, signals kill. One that comes during the start is heeded after it, unless it is to end it.
        let reloadSignals = await UnixSignalsSequence(trapping: .sighup)
        let endSignals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let server = configuration.server
        let engine = try MediaEngine(
            addresses: addresses(), publicAddresses: publicAddresses, ports: configuration.media.ports.ports,
            tcpPort: configuration.media.tcpPort.flatMap { UInt16(exactly: $0) }, loops: loops(),
            isLite: configuration.media.iceLite,
            encoder: EncoderSettings(configuration.media.opus),
            forbidden: Self.services(
                [server.listen, server.admin], of: addresses() + publicAddresses + Interfaces.usableAddresses()))
        defer { engine.stop() }

        let served = CurrentDeployment(deployment)
        let reach = reach { relays in
            engine.expectRelays()
            return Task { await relays.follow(engine) }
        }
        let reloader = Reloader(
            served, configuration, plugins: plugins, logger: logger, prepare: { reach.prepare(for: $0.tenants) },
            warnings: { $0.warnings($1) + reach.warnings($1, $0.tenants) }, load: load)
        let environment = CallSupervisor.Environment(media: engine, registry: CallRegistry(), logger: logger)
        let announcements = Announcements(expected: server.admin == nil ? 1 : 2, announce)
        let router = Router(
            served: served, environment: environment, turnServer: TURNServer(configuration.iceServers))
        func listener(
            _ what: String, _ address: ListenAddress, onHTTP: @escaping @Sendable (Request) async -> Response,
            onUpgrade: @escaping @Sendable (Request) async -> Upgrade
        ) -> SignalingServer {
            SignalingServer(
                configuration: ServerConfiguration(
                    host: address.host, port: Int(address.port), limits: Limits(connections: LimitSettings.mostSockets)),
                logger: logger,
                onHTTP: onHTTP, onUpgrade: onUpgrade,
                onListening: { port in
                    let host = address.host.contains(":") ? "[\(address.host)]" : address.host
                    announcements.add(what, "http://\(host):\(port)/")
                })
        }
        var services = [listener("Patchbay", server.listen, onHTTP: router.respond, onUpgrade: router.upgrade)]
        if let admin = server.admin {
            let page = AdminPage(
                environment: environment, host: admin.host,
                tenant: { name in served.current.tenants.first { $0.name == name } }, reload: reloader.reload)
            services.append(
                listener("Admin", admin, onHTTP: page.respond) { _ in .refuse(Response(status: 404)) })
            if !Interfaces.addresses(of: admin.host).allSatisfy(\.isLoopback) {
                logger.notice(
                    "server.admin listens for other machines: whoever reaches it sees who calls, and can have the configuration read again",
                    metadata: ["admin": "\(admin.written.plain)"])
            }
        }
        if !MediaEngine.hasRealTimePriority {
            logger.notice(
                "media threads run at normal priority, and may be late while others compute: let the process have CAP_SYS_NICE, or an RLIMIT_RTPRIO of 1"
            )
        }
        for service in services { try await service.probe() }
        let group = ServiceGroup(services: services, gracefulShutdownSignals: [], logger: logger)
        let starting = Task { [deployment] in try await deployment.start() }
        let ends = Task { await drain(group, environment.registry, served, endSignals, starting) }
        defer { ends.cancel() }
        do {
            try await starting.value
        } catch {
            // Whoever ends it need not hear what did not get done.
            if starting.isCancelled { return }
            throw error
        }
        warnings(reach).faults.log(logger)
        reach.prepare(for: deployment.tenants)
        defer { reach.stop() }
        let reloads = Task { for await _ in reloadSignals { _ = await reloader.reload() } }
        let gathering = Task { [configuration, logger] in
            _ = await STUNServers(configuration.iceServers, logger: logger)?.follow(engine)
        }
        defer { for task in [reloads, gathering] { task.cancel() } }
        do {
            try await group.run()
        } catch {
            await environment.registry.endAbandoned()
            await served.stop()
            throw error
        }
        await environment.registry.endAbandoned()
        await served.stop()
    }

    /// - Parameter follow: has TURN servers relay to the engine, where there are some.
    private func reach(_ follow: @escaping @Sendable (RelayServers) -> Task<Void, Never>) -> Reach {
        var startRelaying: (@Sendable () -> Task<Void, Never>)?
        let relays = RelayServers(configuration.iceServers, logger: logger, wallClock: deployment.wallClock)
        if let relays, !configuration.media.iceLite { startRelaying = { follow(relays) } }
        return Reach(
            configuration.media, addresses: addresses(), publicAddresses: publicAddresses,
            startRelaying: startRelaying)
    }

    /// What is not wrong with the configuration, and not what anybody would want either.
    func warnings() -> Faults { warnings(reach { _ in Task {} }) }

    private func warnings(_ reach: Reach) -> Faults {
        GatewayConfiguration.faults(
            deployment.warnings(configuration) + reach.warnings(configuration, deployment.tenants))
    }

    /// Waits for SIGTERM or SIGINT, lets live calls end for as long as the configuration says, and then shuts down. A second
    /// signal does not wait.
    ///
    /// - Parameter starting: ends then, too.
    private func drain(
        _ group: ServiceGroup, _ registry: CallRegistry, _ served: CurrentDeployment, _ signals: UnixSignalsSequence,
        _ starting: Task<Void, any Error>
    ) async {
        await withTaskGroup(of: Void.self) { tasks in
            var isDraining = false
            for await _ in signals {
                // Without the C libraries' cleaning up, which threads that still run would trip over.
                if isDraining { _exit(0) }
                isDraining = true
                starting.cancel()
                registry.drain()
                tasks.addTask {
                    let patience = served.current.server.drain
                    let end = ContinuousClock.now + patience
                    if !registry.isEmpty {
                        logger.notice("no new calls; live ones may end", metadata: ["for": "\(patience)"])
                    }
                    while !registry.isEmpty, ContinuousClock.now < end {
                        do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
                    }
                    await group.triggerGracefulShutdown()
                }
            }
        }
    }

    /// Starts and stops every instance, without serving; nil when all of them can.
    ///
    /// - Parameter patience: how long each may take.
    func rehearse(patience: Duration) async -> Faults? {
        let faults = await deployment.rehearse(patience: patience).compactMap { failure in
            configuration.instances[failure.instance.kind]?[failure.instance.name].map {
                configuration.fault(SettingsFault(failure.reason), in: $0)
            }
        }
        return faults.isEmpty ? nil : GatewayConfiguration.faults(faults)
    }

    /// Does something with the configuration's stores, without serving.
    func withStores(_ body: (Deployment) async throws -> Void) async throws {
        try await deployment.start(storesOnly: true)
        do {
            try await body(deployment)
        } catch {
            await deployment.stop()
            throw error
        }
        await deployment.stop()
    }

    /// The instance that makes tokens of a type.
    ///
    /// - Parameter saves: its store must be one that other processes see.
    /// - Throws: a `SettingsFault` when there is none, or several and no name.
    func minter(type: String, instance: String?, saves: Bool = false) throws(SettingsFault) -> any TokenMinter {
        let minters = deployment.auth.compactMap { name, plugin in
            (plugin as? any TokenMinter).map { (name: name, minter: $0) }
        }.filter { Swift.type(of: $0.minter).type == type && instance ?? $0.name == $0.name }
        guard let only = minters.first else {
            throw SettingsFault(
                "the configuration has no auth instance of type \(type)\(instance.map { " called \($0)" } ?? "")")
        }
        guard minters.count == 1 else {
            let names = minters.map(\.name).sorted().joined(separator: ", ")
            throw SettingsFault("there are several auth instances of type \(type); say which with --instance: \(names)")
        }
        if saves, !isShared(authInstance: only.name) {
            throw SettingsFault("the store of '\(only.name)' is in memory, which only the gateway itself sees")
        }
        return only.minter
    }

    /// Whether other processes see what an auth instance stores.
    func isShared(authInstance name: String) -> Bool {
        let stores = configuration.instances[.auth]?[name]?.stores ?? []
        return stores.compactMap { deployment.stores[$0] }.allSatisfy { Swift.type(of: $0).isPersistent }
    }

    private func addresses() -> [SocketAddress] {
        switch configuration.media.addresses {
        case .auto: Interfaces.usableAddresses()
        case .list(let addresses): addresses
        }
    }

    private var publicAddresses: [SocketAddress] { configuration.media.publicAddress?.addresses ?? [] }

    private func loops() -> Int {
        let ports = configuration.media.ports.ports
        return min(configuration.media.loops ?? ProcessInfo.processInfo.activeProcessorCount, ports.count)
    }

    /// Never dialled: a candidate must not make the gateway talk to itself.
    static func services(_ listeners: [ListenAddress?], of own: [SocketAddress]) -> [SocketAddress] {
        listeners.flatMap { listener -> [SocketAddress] in
            // Port 0 is any free one; in a dial rule it would stand for every port of the host.
            guard let listener, listener.port != 0 else { return [] }
            let addresses = Interfaces.addresses(of: listener.host)
            let loopback = [SocketAddress(ipv4: 0x7f00_0001, port: 0), SocketAddress(ipv6: 0, 1, port: 0)]
            return (addresses.contains(where: \.isUnspecified) ? own + loopback : addresses).map {
                $0.with(port: listener.port)
            }
        }
    }
}

extension EncoderSettings {
    /// As the configuration says.
    init(_ settings: OpusSettings) {
        let bandwidth: Bandwidth =
            switch settings.bandwidth {
            case .narrow: .narrow
            case .medium: .medium
            case .wide: .wide
            case .superwide: .superwide
            case .full: .full
            }
        self.init(
            complexity: settings.complexity, minimumComplexity: settings.minimumComplexity, bitrate: settings.bitrate,
            bandwidth: bandwidth)
    }
}

/// Holds what is to be announced until every listener listens: one that cannot ends the start.
private final class Announcements: Sendable {
    private let expected: Int
    private let announce: @Sendable (_ what: String, _ url: String) -> Void
    private let waiting = Mutex<[(what: String, url: String)]>([])

    init(expected: Int, _ announce: @escaping @Sendable (_ what: String, _ url: String) -> Void) {
        self.expected = expected
        self.announce = announce
    }

    func add(_ what: String, _ url: String) {
        let complete = waiting.withLock { waiting in
            waiting.append((what, url))
            return waiting.count == expected ? waiting : []
        }
        for (what, url) in complete { announce(what, url) }
    }
}
