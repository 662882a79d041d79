package import WebSocket

/// Where the signaling server listens, and what it lets a peer cost.
package struct ServerConfiguration: Sendable {
    /// A host name or an address.
    package var host: String
    /// 0 takes any free port.
    package var port: Int
    package var limits: Limits

    package init(host: String, port: Int, limits: Limits = Limits()) {
        self.host = host
        self.port = port
        self.limits = limits
    }
}

/// What one peer may cost. Each is a bound, not a reservation.
package struct Limits: Sendable {
    /// Bytes of a request's target, field names and field values together; more is answered 431.
    package var headSize = 8 * 1024
    /// Fields of a request head.
    package var headFields = 64
    /// From accept, or from the last response, to a complete head; then again for the body.
    package var headTime = Duration.seconds(5)
    /// Bytes of a request body; more is answered 413.
    package var bodySize = 64 * 1024
    /// For the peer to take a response.
    package var responseTime = Duration.seconds(10)
    /// Open sockets of any kind; more wait in the kernel's backlog. A smaller limit on open files lowers it.
    package var connections: Int
    /// Of the sockets.
    package var webSocket = WebSocketLimits()

    package init(connections: Int = 1000) {
        self.connections = connections
    }
}
