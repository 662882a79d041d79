internal import Glibc
internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle

/// The HTTP and WebSocket server. What a path means is the caller's business.
package final class SignalingServer: Service {
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let setup: HTTPConnectionSetup
    private let onListening: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - onHTTP: answers any request that does not ask for a WebSocket.
    ///   - onUpgrade: decides on a WebSocket; the request's handshake fields have been checked.
    ///   - onListening: told the port once the server listens.
    package init(
        configuration: ServerConfiguration, logger: Logger, onHTTP: @escaping @Sendable (Request) async -> Response,
        onUpgrade: @escaping @Sendable (Request) async -> Upgrade,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.onListening = onListening
        setup = HTTPConnectionSetup(limits: configuration.limits, onHTTP: onHTTP, onUpgrade: onUpgrade)
    }

    /// Serves until a graceful shutdown, which closes every open socket with 1012, or until cancelled.
    /// - Throws: `SignalingError.cannotListen`.
    package func run() async throws {
        // Hummingbird tells of its start at info and of its states at trace; ours are told by the caller.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let server = Server(
            childChannelSetup: setup,
            configuration: .init(
                address: .hostname(configuration.host, port: configuration.port),
                availableConnectionsDelegate: .maximum(maximumConnections, logger: quiet)),
            onServerRunning: { [onListening] channel in onListening(channel.localAddress?.port ?? 0) },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        try await naming { try await server.run() }
    }

    /// Takes the address and lets it go again, so that of several servers none listens when one of them cannot.
    /// - Throws: `SignalingError.cannotListen`.
    package func probe() async throws {
        try await naming {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: configuration.host, port: configuration.port).get()
            try await channel.close()
        }
    }

    /// Says of an error of the network which address it is about.
    private func naming(_ body: () async throws -> Void) async throws {
        func cannotListen(_ reason: String) -> SignalingError {
            .cannotListen(host: configuration.host, port: configuration.port, reason: reason)
        }
        do {
            try await body()
        } catch let error as IOError {
            throw cannotListen(unsafe String(cString: strerror(error.errnoCode)))
        } catch let error as SocketAddressError {
            throw cannotListen("\(error)")
        }
    }

    /// Running out of files would end the accept loop, so a quarter of them stays for everything else.
    private var maximumConnections: Int {
        var files = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 else {
            return configuration.limits.connections
        }
        return min(configuration.limits.connections, Int(clamping: files.rlim_cur) / 4 * 3)
    }
}
