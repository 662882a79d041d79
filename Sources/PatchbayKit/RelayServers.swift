import Foundation
import Logging
import Media
import PatchbayConfig
import PatchbayPlugin
import TURN
import Wire

/// The TURN servers of the configuration, for the gateway itself: through them it is reached where there is no other way.
struct RelayServers: Sendable {
    /// How often names are looked up again, and when one could not be.
    private static let interval = Duration.seconds(300)
    private static let retry = Duration.seconds(10)

    private let servers: [ICEServerSettings]
    private let logger: Logger
    private let wallClock: @Sendable () -> Duration

    /// Nil when there is none that would take us.
    init?(_ servers: [ICEServerSettings], logger: Logger, wallClock: @escaping @Sendable () -> Duration) {
        // Where the gateway has a user of its own, the others are for callers.
        let own = servers.filter { $0.password != nil }
        self.servers = own.isEmpty ? servers.filter(\.hasCredentials) : own
        self.logger = logger
        self.wallClock = wallClock
        if self.servers.isEmpty { return nil }
    }

    /// Has `engine` ask them, and again before the credentials end or where addresses change; until cancelled.
    func follow(_ engine: MediaEngine) async {
        guard let trust = TLSTrust() else {
            logger.error("OpenSSL cannot read the certificate authorities; TURN servers are not asked")
            return engine.relay(through: [], onChange: note)
        }
        var known: Set<SocketAddress>?
        var renewal: ContinuousClock.Instant?
        while !Task.isCancelled {
            var found: [RelayServer] = []
            var isComplete = true
            for server in servers {
                guard let user = credentials(of: server) else { continue }
                for url in server.urls where url.isTURN {
                    guard let transport = RelayServer.Transport(url, trust) else {
                        logger.warning("TURN over DTLS is not spoken", metadata: ["url": "\(url.text)"])
                        continue
                    }
                    let ways = await url.relays(over: transport, username: user.name, password: user.password)
                    if ways.isEmpty {
                        isComplete = false
                        logger.warning("the name of a TURN server leads nowhere", metadata: ["url": "\(url.text)"])
                    }
                    found += ways
                }
            }
            // A name server puts several addresses in another order each time.
            let addresses = Set(found.map(\.address))
            let isDue = addresses != known || renewal.map { ContinuousClock.now >= $0 } ?? false
            // Calls that wait for a relay are told so where there is none.
            if known == nil || !found.isEmpty && isDue {
                known = addresses
                // Before they end, with time to spare for an allocation that has just been refreshed.
                renewal = servers.filter { $0.secret != nil }.map { .now + $0.ttl * 0.75 }.min()
                engine.relay(through: found, onChange: note)
            }
            let interval = isComplete ? Self.interval : Self.retry
            let pause = renewal.map { min(interval, $0 - .now) } ?? interval
            try? await Task.sleep(for: max(pause, .seconds(1)))
        }
    }

    private func credentials(of server: ICEServerSettings) -> (name: String, password: String)? {
        if let name = server.username, let password = server.password {
            return (name, password.withValue { $0 })
        }
        do {
            let made = try TURNServer([server])?.credentials(for: "gateway", lifetime: nil, now: wallClock())
            return made.map { ($0.username, $0.password) }
        } catch {
            logger.error("no TURN credentials for the gateway itself", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private func note(_ event: RelayEvent) {
        switch event {
        case .available(let address, let server):
            logger.info("a TURN server relays to this gateway", metadata: ["at": "\(address)", "server": "\(server)"])
        case .lost(let address, let server, let reason):
            logger.warning(
                "a TURN server relays to this gateway no more",
                metadata: ["at": "\(address)", "server": "\(server)", "reason": "\(reason)"])
        case .unavailable(let reasons):
            logger.warning(
                "no TURN server relays to this gateway", metadata: ["reasons": "\(reasons.joined(separator: "; "))"])
        }
    }
}

extension ICEServerURL {
    /// The TURN server at each of its addresses; none where its name leads nowhere.
    func relays(over transport: RelayServer.Transport, username: String, password: String) async -> [RelayServer] {
        await endpoint.addresses().map { address in
            RelayServer(name: text, address: address, transport: transport, username: username, password: password)
        }
    }
}

extension RelayServer.Transport {
    /// Nil for TURN over DTLS.
    init?(_ url: ICEServerURL, _ trust: TLSTrust) {
        switch url.transport {
        case .udp: self = .udp
        case .tcp: self = .tcp
        case .tls: self = .tls(trust, host: url.endpoint.host)
        case .other: return nil
        }
    }
}
