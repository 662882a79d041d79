import PatchbayConfig
import PatchbayPlugin
import Synchronization
import Wire

/// Whether callers reach the gateway at all: warns of tenants whose callers cannot, and has TURN servers relay to it where a
/// tenant's policy leaves no other way.
final class Reach: Sendable {
    private let media: MediaSettings
    /// What a policy is asked about: our addresses, whatever their ports are.
    private let own: [PatchbayPlugin.Candidate]
    private let startRelaying: (@Sendable () -> Task<Void, Never>)?
    private let relaying = Mutex<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - startRelaying: has TURN servers relay from now on, until cancelled; nil where there is none.
    init(
        _ media: MediaSettings, addresses: [SocketAddress], publicAddresses: [SocketAddress],
        startRelaying: (@Sendable () -> Task<Void, Never>)?
    ) {
        self.media = media
        own =
            addresses.map { PatchbayPlugin.Candidate(kind: .host, address: $0.host, port: 1024) }
            + publicAddresses.map { PatchbayPlugin.Candidate(kind: .serverReflexive, address: $0.host, port: 1024) }
        self.startRelaying = startRelaying
    }

    /// Does what can be done for the callers of these tenants, before they are served.
    func prepare(for tenants: [Tenant]) {
        let isRelayed = media.relay ?? tenants.contains(where: \.onlyRelays)
        if isRelayed, let startRelaying {
            relaying.withLock { if $0 == nil { $0 = startRelaying() } }
        }
    }

    /// Tenants that nobody reaches, each at its ICE policies.
    func warnings(_ configuration: GatewayConfiguration, _ tenants: [Tenant]) -> [Fault] {
        let reasons = Dictionary(unreachable(tenants).map { ($0.tenant, $0.reason) }) { $1 }
        return configuration.tenants.compactMap { tenant in
            reasons[tenant.name].map { configuration.warning(SettingsFault($0, field: "ice"), in: tenant) }
        }
    }

    /// Tenants whose callers cannot reach us, by name, and why. A policy that drops every candidate of ours leaves a call
    /// without sound, and nobody would know why.
    func unreachable(_ tenants: [Tenant]) -> [(tenant: String, reason: String)] {
        let isRelayed = media.relay ?? tenants.contains(where: \.onlyRelays)
        return tenants.compactMap { tenant in
            guard !own.contains(where: { tenant.outbound.keeps($0, .outbound) }),
                !tenant.onlyRelays || !isRelayed || startRelaying == nil
            else { return nil }
            let reason =
                tenant.onlyRelays
                ? "the outbound ICE policy allows relays only, and the gateway has none (ice_servers has no TURN server with credentials, ice_lite is set, or relay is false); calls will not connect"
                : "the outbound ICE policy drops every address of media.addresses and media.public_address; calls will not connect"
            return (tenant.name, reason)
        }
    }

    func stop() {
        relaying.withLock { $0 }?.cancel()
    }
}
