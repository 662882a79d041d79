internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Why a command has no reply.
package enum RedisError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no connection, and the command was not sent. The client goes on trying.
    case away(server: String, reason: String)
    /// The connection ended before the reply: nobody knows whether the command was carried out.
    case lost(server: String, reason: String)
    /// No reply in time: nobody knows whether the command was carried out, or will be.
    case noReply(server: String, within: Duration)
    /// The server said no: a code, and its sentence.
    case refused(server: String, reply: String)
    /// The server wants another name or password, or one at all.
    case badCredentials(server: String, code: String)
    /// Whoever waits for this and other commands has waited long enough; it was not sent.
    case noTime(server: String)
    /// So many commands wait already.
    case tooMany(server: String, limit: Int)
    /// A reply of another kind than the command has.
    case strangeReply(server: String)
    /// It has only some of the keys; the others are elsewhere.
    case isCluster(server: String)
    /// `open` was not called, or `close` was.
    case notOpen(server: String)

    package var description: String {
        switch self {
        case .away(let server, let reason): "Redis at \(server) cannot be reached: \(reason)"
        case .lost(let server, let reason): "the connection to Redis at \(server) was lost: \(reason)"
        case .noReply(let server, let time): "Redis at \(server) did not answer within \(time)"
        case .refused(let server, let reply): "Redis at \(server) refuses: \(reply)"
        case .badCredentials(let server, "NOAUTH"): "Redis at \(server) wants a password, and none is set"
        case .badCredentials(let server, let code):
            "Redis at \(server) does not take the user name and password (\(code)); look at its requirepass and ACL"
        case .noTime(let server):
            "Redis at \(server) was not asked: its earlier answers took all the time that a new call has"
        case .tooMany(let server, let limit): "\(limit) commands wait for Redis at \(server) already"
        case .strangeReply(let server): "Redis at \(server) gave a reply that does not fit the command"
        case .isCluster(let server):
            "Redis at \(server) is in cluster mode, where keys that belong together lie on different servers; the gateway "
                + "needs one that has all of them"
        case .notOpen(let server): "there is no connection to Redis at \(server): it was not started, or stopped"
        }
    }

    /// What the server's refusal begins with, such as `READONLY`; nil where it did not refuse.
    package var code: String? {
        if case .refused(_, let reply) = self { String(reply.prefix { $0 != " " }) } else { nil }
    }

    /// Whether nobody knows if the command was carried out.
    package var isUncertain: Bool {
        switch self {
        case .lost, .noReply, .strangeReply: true
        case .away, .refused, .badCredentials, .noTime, .tooMany, .isCluster, .notOpen: false
        }
    }
}

/// Why a connection came to nothing, in few words.
func reason(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
        error.connectionErrors.last.map { reason($0.error) } ?? "its name cannot be looked up"
    case let error as IOError: unsafe String(cString: strerror(error.errnoCode))
    case ChannelError.connectTimeout: "no connection in time"
    case ChannelError.eof, ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, NIOSSLError.uncleanShutdown:
        "it closed the connection"
    case NIOSSLError.handshakeFailed(let cause):
        "\(cause)".contains("CERTIFICATE_VERIFY_FAILED")
            ? "nobody whom the gateway trusts vouches for its certificate" : "the TLS handshake failed: \(cause)"
    default: "\(error)"
    }
}

/// A server's refusal as it may be shown: one line, not too long, and none of the command's arguments, which some refusals
/// repeat.
func shown(_ reply: String) -> String {
    // First of all: a server that means no good may say megabytes.
    let line = reply.unicodeScalars.prefix(200).map { $0.properties.generalCategory == .control ? " " : $0 }
    var words = String(String.UnicodeScalarView(line))[...]
    for marker in [", with args", " with args beginning"] {
        if let range = words.firstRange(of: marker) { words = words[..<range.lowerBound] }
    }
    return String(words)
}
