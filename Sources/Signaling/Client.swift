internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOWebSocket

/// The client's side of a signaling socket, over plain TCP.
package enum WebSocketClient {
    /// - Parameter url: `ws://host[:port]/path[?query]`.
    /// - Throws: `SignalingError`; `refused` carries the server's status and body.
    package static func connect(
        url: String, headers: [String: String] = [:], limits: Limits = Limits()
    ) async throws -> WebSocketConnection {
        let url = try ClientURL(url, scheme: "ws")
        let upgrader = NIOTypedWebSocketClientUpgrader<Void>(
            maxFrameSize: limits.messageSize, enableAutomaticErrorHandling: false,
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        var fields = HTTPHeaders(headers.map { ($0.key, $0.value) })
        fields.replaceOrAdd(name: "host", value: url.authority)
        fields.add(name: "connection", value: "upgrade")
        fields.add(name: "upgrade", value: "websocket")
        upgrader.addCustom(upgradeRequestHeaders: &fields)
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.target, headers: fields)
        switch try await Exchange(head: head, body: [], limits: limits, upgrader: upgrader).run(url) {
        case .switched(let socket): return socket
        case .response(let status, let body): throw SignalingError.refused(status: status, body: body)
        }
    }
}

/// As much of HTTP as a call from the command line needs, over plain TCP.
package enum HTTPClient {
    /// - Parameter url: `http://host[:port]/path[?query]`.
    /// - Throws: `SignalingError`.
    package static func get(
        url: String, headers: [String: String] = [:]
    ) async throws -> (status: Int, body: String) {
        try await request(.GET, url: url, body: [], headers: headers)
    }

    /// - Parameters:
    ///   - url: `http://host[:port]/path[?query]`.
    ///   - json: the body, JSON text.
    /// - Throws: `SignalingError`.
    package static func post(
        url: String, json: String, headers: [String: String] = [:]
    ) async throws -> (status: Int, body: String) {
        var headers = headers
        headers["content-type"] = "application/json"
        headers["content-length"] = String(json.utf8.count)
        return try await request(.POST, url: url, body: Array(json.utf8), headers: headers)
    }

    private static func request(
        _ method: HTTPMethod, url: String, body: [UInt8], headers: [String: String]
    ) async throws -> (status: Int, body: String) {
        let url = try ClientURL(url, scheme: "http")
        var fields = HTTPHeaders(headers.map { ($0.key, $0.value) })
        fields.replaceOrAdd(name: "host", value: url.authority)
        fields.add(name: "connection", value: "close")
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: url.target, headers: fields)
        switch try await Exchange(head: head, body: body, limits: Limits(), upgrader: nil).run(url) {
        case .switched: throw SignalingError.noResponse(reason: "the server switched protocols")
        case .response(let status, let body): return (status, body)
        }
    }
}

/// `scheme://host[:port][/path][?query]`
struct ClientURL {
    var host: String
    var port: Int
    var authority: String
    var target: String

    init(_ text: String, scheme: String) throws(SignalingError) {
        guard text.hasPrefix(scheme + "://") else { throw .badURL(expected: scheme) }
        let rest = text.dropFirst(scheme.utf8.count + 3).prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let target = rest[authority.endIndex...]
        var host = authority
        port = 80
        if let colon = authority.lastIndex(of: ":"), authority[colon...].allSatisfy({ $0 != "]" }) {
            guard let number = UInt16(authority[authority.index(after: colon)...]) else {
                throw .badURL(expected: scheme)
            }
            port = Int(number)
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw .badURL(expected: scheme) }
        self.host = String(host)
        self.authority = String(authority)
        self.target = target.hasPrefix("/") ? String(target) : "/" + target
    }
}
