/// What stops the server as a whole.
package enum SignalingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The address could not be bound.
    case cannotListen(host: String, port: Int, reason: String)

    package var description: String {
        switch self {
        case .cannotListen(let host, let port, let reason): "cannot listen on \(host) port \(port): \(reason)"
        }
    }
}
