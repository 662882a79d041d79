package import TURN
package import Wire

/// A way to ask a TURN server for relayed addresses.
package struct RelayServer: Sendable {
    package enum Transport: Sendable {
        case udp, tcp
        /// The server's certificate must be for this host.
        case tls(TLSTrust, host: String)
    }

    /// As the configuration has it, for logs.
    package var name: String
    package var address: SocketAddress
    package var transport: Transport
    package var username: String
    package var password: String

    package init(name: String, address: SocketAddress, transport: Transport, username: String, password: String) {
        self.name = name
        self.address = address
        self.transport = transport
        self.username = username
        self.password = password
    }
}

/// What a loop finds out about its relays.
package enum RelayEvent: Sendable, Equatable {
    /// This address of `server` leads here from now on.
    case available(SocketAddress, server: String)
    /// It no longer does.
    case lost(SocketAddress, server: String, reason: String)
    /// No server gives an address; each with its reason.
    case unavailable([String])
}
