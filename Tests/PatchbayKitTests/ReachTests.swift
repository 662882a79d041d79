import PatchbayConfig
import PatchbayPlugin
import Synchronization
import Testing
import Wire

@testable import PatchbayKit

@Suite("Whether callers reach the gateway")
struct ReachTests {
    private struct RelayPolicy: ICEPolicyPlugin {
        static let type = "relay"
        static let summary = "Uses relays."

        init() {}

        init(settings: NoSettings, context: PluginContext) {}

        func keeps(_ candidate: PatchbayPlugin.Candidate, _ direction: Direction) -> Bool { candidate.kind == .relay }

        var onlyRelays: Bool { true }
    }

    /// How often TURN servers were begun to be asked.
    private final class Begun: Sendable {
        let count = Mutex(0)
    }

    private let begun = Begun()

    private func reach(relay: Bool? = nil, hasServers: Bool = true) -> Reach {
        var media = MediaSettings()
        media.relay = relay
        let startRelaying: @Sendable () -> Task<Void, Never> = { [begun] in
            begun.count.withLock { $0 += 1 }
            return Task {}
        }
        return Reach(
            media, addresses: [LoopbackCall.loopback], publicAddresses: [],
            startRelaying: hasServers ? startRelaying : nil)
    }

    private func tenant(onlyRelays: Bool) -> Tenant {
        var tenant = Tenant.test()
        if onlyRelays { tenant.outbound = RelayPolicy() }
        return tenant
    }

    @Test("a tenant that needs a relay has TURN servers asked, when it comes at a reload too, and once")
    func later() {
        let reach = reach()
        reach.prepare(for: [tenant(onlyRelays: false)])
        #expect(begun.count.withLock(\.self) == 0)
        let tenants = [tenant(onlyRelays: false), tenant(onlyRelays: true)]
        for _ in 0..<2 { reach.prepare(for: tenants) }
        #expect(begun.count.withLock(\.self) == 1 && reach.unreachable(tenants).isEmpty)
    }

    @Test(
        "where none may be asked, or there is none, it is warned of",
        arguments: [(false, true), (nil, false)] as [(Bool?, Bool)])
    func none(relay: Bool?, hasServers: Bool) {
        let reach = reach(relay: relay, hasServers: hasServers)
        #expect(reach.unreachable([tenant(onlyRelays: false)]).isEmpty)
        reach.prepare(for: [tenant(onlyRelays: true)])
        #expect(begun.count.withLock(\.self) == 0)
        let warnings = reach.unreachable([tenant(onlyRelays: true)])
        #expect(warnings.count == 1 && warnings.first?.reason.contains("allows relays only") == true)
    }
}
