internal import NIOCore
internal import NIOSSL

/// How a client makes sure who the server is: by a certificate for the host's name from somebody it trusts (RFC 6125).
package struct RedisTLS: Sendable {
    private let context: NIOSSLContext

    /// - Parameter trustRoots: a PEM file of certificates to trust; nil for those of the system.
    package init(trustRoots: String? = nil) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        // RFC 8996.
        configuration.minimumTLSVersion = .tlsv12
        if let trustRoots { configuration.trustRoots = .file(trustRoots) }
        context = try NIOSSLContext(configuration: configuration)
    }

    /// - Parameter host: a name or an address; a certificate for an address must name it.
    func handler(host: String) throws -> NIOSSLClientHandler {
        let isAddress = (try? NIOCore.SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }
}
