internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

/// HTTP requests of the gateway's own, each bounded in time and size. A redirect is an answer like any other: nobody leads
/// them elsewhere.
package enum OutboundHTTP {
    /// It is never shut down: connections that nobody uses close by themselves.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        // A server that is not there is told at once, rather than tried until the time is over.
        configuration.connectionPool.retryConnectionEstablishment = false
        // Over HTTP/1 each question that is open takes one. Who asks has a limit of its own.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1_000
        return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }()

    /// Fetches a JSON document.
    ///
    /// - Parameters:
    ///   - timeout: for everything, from the look-up of the host to the last byte.
    ///   - limit: the longest body that is taken, in bytes.
    package static func get(
        _ endpoint: HTTPEndpoint, within timeout: Duration, limit: Int
    ) async throws(OutboundHTTPError) -> HTTPReply {
        try await send(HTTPClientRequest(url: endpoint.url), [:], within: timeout, limit: limit)
    }

    /// Sends a JSON document.
    ///
    /// - Parameters:
    ///   - timeout: for everything, from the look-up of the host to the last byte.
    ///   - limit: the longest body that is taken, in bytes.
    package static func post(
        _ json: String, to endpoint: HTTPEndpoint, headers: [String: String], within timeout: Duration, limit: Int
    ) async throws(OutboundHTTPError) -> HTTPReply {
        var request = HTTPClientRequest(url: endpoint.url)
        request.method = .POST
        request.body = .bytes(ByteBuffer(string: json))
        request.headers.add(name: "content-type", value: "application/json")
        return try await send(request, headers, within: timeout, limit: limit)
    }

    private static func send(
        _ request: HTTPClientRequest, _ headers: [String: String], within timeout: Duration, limit: Int
    ) async throws(OutboundHTTPError) -> HTTPReply {
        var request = request
        request.headers.add(name: "accept", value: "application/json")
        request.headers.add(name: "user-agent", value: "patchbay")
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        do {
            return try await withThrowingTaskGroup(of: HTTPReply?.self) { [request] group in
                group.addTask {
                    // The client's own deadline does not reach to the end of the body.
                    let response = try await client.execute(request, timeout: TimeAmount(timeout * 2))
                    let body = try await response.body.collect(upTo: limit)
                    return HTTPReply(status: Int(response.status.code), body: Array(body.readableBytesView))
                }
                group.addTask {
                    try await Task.sleep(for: timeout)
                    return nil
                }
                defer { group.cancelAll() }
                guard let first = try await group.next(), let reply = first else {
                    throw OutboundHTTPError.late(timeout)
                }
                return reply
            }
        } catch let error as OutboundHTTPError {
            throw error
        } catch is NIOTooManyBytesError {
            throw .tooLong(limit: limit)
        } catch {
            throw .failed("\(error)")
        }
    }
}

/// What a server answers.
package struct HTTPReply: Sendable, Hashable {
    /// RFC 9110 §15.
    package var status: Int
    /// All of it.
    package var body: [UInt8]

    /// Makes an answer, which tests do.
    package init(status: Int, body: [UInt8] = []) {
        self.status = status
        self.body = body
    }
}

/// Why there is no answer.
package enum OutboundHTTPError: Error, Hashable, CustomStringConvertible {
    /// None within the time.
    case late(Duration)
    /// Its body is longer than what is asked for can be.
    case tooLong(limit: Int)
    /// The connection failed, or broke, as the text says.
    case failed(String)

    /// What happened.
    package var description: String {
        switch self {
        case .late(let time): "no answer within \(time)"
        case .tooLong(let limit): "the answer is longer than \(limit) bytes"
        case .failed(let reason): "no answer: \(reason)"
        }
    }
}
