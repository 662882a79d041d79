/// What one peer may cost on a WebSocket. Each is a bound, not a reservation.
package struct WebSocketLimits: Sendable {
    /// Bytes of a message; more closes with 1009.
    package var messageSize = 64 * 1024
    /// Frames of one message; more closes with 1008.
    package var messageFragments = 16
    /// Messages and control frames a second, and how many may come at once. A client that sends more is closed with
    /// 1008; a server, whose fragments count too, is read no faster.
    package var messageRate = 20
    package var messageBurst = 60
    /// Bytes waiting to be sent on one socket.
    package var outboundQueue = 256 * 1024
    /// Bytes received and not yet read by the application; beyond it the socket is not read.
    package var inboundQueue = 256 * 1024
    /// Between two pings.
    package var pingInterval = Duration.seconds(20)
    /// From a ping to any sign of life; looked at when the next ping is due.
    package var pongTimeout = Duration.seconds(20)
    /// From our close frame to the peer's.
    package var closeTimeout = Duration.seconds(5)

    package init() {}

    /// For a server that is called: one that sends 20 ms in a message may be twenty times as fast as it is heard.
    package static var ofServer: WebSocketLimits {
        var limits = WebSocketLimits()
        limits.messageRate = 1000
        limits.messageBurst = 1000
        return limits
    }
}
