import Dispatch
import ICE
import Logging
import Media
import PatchbayConfig
import Wire

/// The STUN servers of the configuration, which tell the gateway where callers elsewhere see it.
struct STUNServers: Sendable {
    /// How often names are looked up again, and when one could not be.
    private static let interval = Duration.seconds(300)
    private static let retry = Duration.seconds(10)

    private let endpoints: [ICEServerURL.Endpoint]
    private let logger: Logger

    /// Nil when there is none.
    init?(_ servers: [ICEServerSettings], logger: Logger) {
        endpoints = servers.flatMap(\.urls).filter { !$0.isTURN && $0.transport == .udp }.map(\.endpoint)
        self.logger = logger
        if endpoints.isEmpty { return nil }
    }

    /// Looks their names up and has `engine` ask them, again where their addresses change; until cancelled.
    func follow(_ engine: MediaEngine) async {
        var known: Set<SocketAddress> = []
        while !Task.isCancelled {
            var addresses: [SocketAddress] = []
            var isComplete = true
            for endpoint in endpoints {
                let found = await endpoint.addresses()
                addresses += found
                guard found.isEmpty else { continue }
                isComplete = false
                logger.warning("the name of a STUN server leads nowhere", metadata: ["host": "\(endpoint.host)"])
            }
            if !addresses.isEmpty, Set(addresses) != known {
                known = Set(addresses)
                engine.gather(from: addresses, onChange: note)
            }
            try? await Task.sleep(for: isComplete ? Self.interval : Self.retry)
        }
    }

    private func note(_ output: ReflexiveGathering.Output) {
        switch output {
        case .transmit, .settled: break
        case .mapped(let address, _):
            logger.info("a STUN server sees this gateway", metadata: ["at": "\(address)"])
        case .unanswered:
            logger.warning(
                "no STUN server answers; callers elsewhere learn no address of this gateway but its own",
                metadata: ["servers": "\(endpoints.map { "\($0.host):\($0.port)" }.joined(separator: " "))"])
        }
    }
}

extension ICEServerURL.Endpoint {
    /// What the name stands for, with the port; none where it leads nowhere.
    func addresses() async -> [SocketAddress] {
        await withCheckedContinuation { continuation in
            // It blocks, for as long as a name server takes.
            DispatchQueue.global().async {
                continuation.resume(returning: Interfaces.addresses(of: host).map { $0.with(port: port) })
            }
        }
    }
}
