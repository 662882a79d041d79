internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import PatchbayPlugin
internal import Synchronization

/// Asks over HTTP: no redirects, which could lead keys elsewhere; a connection for each question, since one that was kept may
/// be gone without a word; and a bound for time and size.
final class BillingClient: Sendable {
    /// Longer answers are none of the billing service's.
    static let longestReply = 64 * 1024

    private let timeout: Duration
    private let client = Mutex<HTTPClient?>(nil)

    /// - Parameter timeout: for one question, from the first to the last byte.
    init(timeout: Duration) {
        self.timeout = timeout
    }

    func start() {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.maximumUsesPerConnection = 1
        configuration.timeout.connect = .nanoseconds(timeout.nanoseconds)
        // A refused connection would be tried again until the time is over, while a caller waits.
        configuration.connectionPool.retryConnectionEstablishment = false
        // Slow answers to some must not keep others from asking.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1_000
        client.withLock { [configuration] client in
            if client == nil { client = HTTPClient(configuration: configuration) }
        }
    }

    func stop() async {
        let started = client.withLock { client in
            defer { client = nil }
            return client
        }
        try? await started?.shutdown()
    }

    var exchange: BillingExchange {
        { request in try await self.ask(request) }
    }

    private func ask(_ request: BillingRequest) async throws(BillingFailure) -> BillingReply {
        guard let client = client.withLock({ $0 }) else { throw .other("the quota is not started") }
        do {
            return try await withThrowingTaskGroup(of: BillingReply?.self) { group in
                group.addTask { try await self.send(request, by: client) }
                // The client's own deadline ends with the head of the answer.
                group.addTask {
                    try await Task.sleep(for: self.timeout)
                    return nil
                }
                defer { group.cancelAll() }
                guard case let reply?? = try await group.next() else { throw HTTPClientError.deadlineExceeded }
                return reply
            }
        } catch {
            throw BillingFailure(error)
        }
    }

    private func send(_ request: BillingRequest, by client: HTTPClient) async throws -> BillingReply {
        var message = HTTPClientRequest(url: request.url)
        message.method = HTTPMethod(rawValue: request.method.rawValue)
        message.headers = HTTPHeaders(request.headers.map { ($0.key, $0.value) })
        if !request.body.isEmpty { message.body = .bytes(ByteBuffer(bytes: request.body)) }
        let response = try await client.execute(message, timeout: .nanoseconds(timeout.nanoseconds))
        let body = try await response.body.collect(upTo: Self.longestReply)
        return BillingReply(status: Int(response.status.code), body: Array(body.readableBytesView))
    }
}

extension BillingFailure {
    /// HTTP's errors, as far as they mean that no answer came.
    private static let transportErrors: [HTTPClientError] = [
        .deadlineExceeded, .connectTimeout, .readTimeout, .writeTimeout, .tlsHandshakeTimeout,
        .getConnectionFromPoolTimeout, .remoteConnectionClosed, .uncleanShutdown, .invalidProxyResponse,
        .proxyAuthenticationRequired, .httpProxyHandshakeTimeout, .socksHandshakeTimeout,
    ]

    /// Sorts what the client throws.
    init(_ error: any Error) {
        switch error {
        case let failure as BillingFailure: self = failure
        case let error as HTTPClientError where Self.transportErrors.contains(error):
            self = .transport(error.shortDescription)
        // Not as it describes itself: it may name the fields of the request that it does not like.
        case let error as HTTPClientError: self = .other(error.shortDescription)
        case is NIOConnectionError: self = .transport("it cannot be connected to")
        case is IOError, is ChannelError: self = .transport("\(error)")
        case is HTTPParserError: self = .transport("what came is not HTTP: \(error)")
        case is NIOSSLError, is NIOSSLExtraError: self = .transport("TLS failed: \(error)")
        case is NIOTooManyBytesError:
            self = .unreadable("it is longer than \(BillingClient.longestReply / 1024) KiB")
        default: self = .other("\(error)")
        }
    }
}

extension Duration {
    /// Without what is beyond 64 bits.
    fileprivate var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000
    }
}
