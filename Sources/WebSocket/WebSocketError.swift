/// What stops a client's connection as a whole.
package enum WebSocketError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not `scheme://host[:port][/path][?query]` with one of the schemes asked for, and what is wrong with it.
    case badURL(expected: String, reason: String)
    /// No connection to the server.
    case cannotConnect(host: String, port: Int, reason: String)
    /// The server answered the WebSocket handshake with something other than 101 (RFC 6455 §4.1).
    case refused(status: Int, body: String)
    /// The connection ended before a whole response came.
    case noResponse(reason: String)

    package var description: String {
        switch self {
        case .badURL(let expected, let reason): "the address is not a \(expected):// URL: \(reason)"
        case .cannotConnect(let host, let port, let reason): "cannot connect to \(host) port \(port): \(reason)"
        case .refused(let status, let body):
            "the server refused the WebSocket with HTTP \(status)" + (body.isEmpty ? "" : ": \(body.prefix(512))")
        case .noResponse(let reason): "no response: \(reason)"
        }
    }
}
