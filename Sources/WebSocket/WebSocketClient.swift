internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOWebSocket

/// The client's side of a WebSocket, over TCP or TLS.
package enum WebSocketClient {
    /// - Parameters:
    ///   - url: `ws://host[:port]/path[?query]`, or `wss:`.
    ///   - headers: fields of the request; a `host` among them stands in place of the URL's.
    ///   - subprotocol: what is asked for; a server may take no notice.
    ///   - tls: whom to trust, for `wss:`.
    ///   - timeout: for all until the socket is open.
    /// - Throws: `WebSocketError`; `refused` carries the server's status and body.
    package static func connect(
        url: String, headers: [String: String] = [:], subprotocol: String? = nil, tls: ClientTLS? = nil,
        within timeout: Duration = .seconds(10), limits: WebSocketLimits = .ofServer
    ) async throws -> WebSocketConnection {
        let url = try ClientURL(url, schemes: ["ws", "wss"])
        let upgrader = NIOTypedWebSocketClientUpgrader<Void>(
            maxFrameSize: limits.messageSize, enableAutomaticErrorHandling: false,
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        var fields = HTTPHeaders(headers.map { ($0.key, $0.value) })
        if !fields.contains(name: "host") { fields.add(name: "host", value: url.authority) }
        fields.add(name: "connection", value: "upgrade")
        fields.add(name: "upgrade", value: "websocket")
        if let subprotocol { fields.add(name: "sec-websocket-protocol", value: subprotocol) }
        upgrader.addCustom(upgradeRequestHeaders: &fields)
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.target, headers: fields)
        let exchange = Exchange(head: head, body: [], limits: limits, tls: tls, timeout: timeout, upgrader: upgrader)
        switch try await exchange.run(url) {
        case .switched(let socket): return socket
        case .response(let status, let body): throw WebSocketError.refused(status: status, body: body)
        }
    }
}

/// As much of HTTP as a call from the command line needs.
package enum HTTPClient {
    /// - Parameter url: `http://host[:port]/path[?query]`, or `https:`.
    /// - Throws: `WebSocketError`.
    package static func get(
        url: String, headers: [String: String] = [:]
    ) async throws -> (status: Int, body: String) {
        try await request(.GET, url: url, body: [], headers: headers)
    }

    /// - Parameters:
    ///   - url: `http://host[:port]/path[?query]`, or `https:`.
    ///   - json: the body, JSON text.
    /// - Throws: `WebSocketError`.
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
        let url = try ClientURL(url, schemes: ["http", "https"])
        var fields = HTTPHeaders(headers.map { ($0.key, $0.value) })
        if !fields.contains(name: "host") { fields.add(name: "host", value: url.authority) }
        fields.add(name: "connection", value: "close")
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: url.target, headers: fields)
        switch try await Exchange(head: head, body: body, upgrader: nil).run(url) {
        case .switched: throw WebSocketError.noResponse(reason: "the server switched protocols")
        case .response(let status, let body): return (status, body)
        }
    }
}

/// `scheme://host[:port][/path][?query]`
package struct ClientURL: Sendable, Hashable {
    package var host: String
    package var port: Int
    /// Whether the scheme is one with TLS.
    package var isSecure: Bool
    /// What the `Host` header says.
    package var authority: String
    /// Path and query.
    package var target: String

    /// - Parameter schemes: one without TLS, and one with.
    /// - Throws: `WebSocketError.badURL`.
    package init(_ text: String, schemes: [String]) throws(WebSocketError) {
        let expected = schemes.first ?? ""
        func bad(_ reason: String) -> WebSocketError { .badURL(expected: expected, reason: reason) }
        guard let scheme = schemes.first(where: { text.hasPrefix($0 + "://") }) else {
            throw bad("it begins with " + schemes.map { $0 + "://" }.joined(separator: " or "))
        }
        // What is sent in a request head must not end it.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw bad("a space, or what is not ASCII, stands in it as %20 and the like")
        }
        isSecure = scheme != expected
        let rest = text.dropFirst(scheme.utf8.count + 3).prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else { throw bad("a user or a password has no place in it") }
        let (host, end) = try Self.host(of: authority, bad)
        port = isSecure ? 443 : 80
        if !end.isEmpty {
            guard let number = UInt16(end.dropFirst()), number > 0, end.dropFirst().allSatisfy(\.isNumber) else {
                throw bad("the port is a number from 1 to 65535")
            }
            port = Int(number)
        }
        self.host = String(host)
        self.authority = String(authority)
        let target = rest[authority.endIndex...]
        self.target = target.hasPrefix("/") ? String(target) : "/" + target
    }

    /// The host, without the brackets of an IPv6 address, and what follows it: nothing, or the port with its colon.
    private static func host(
        of authority: Substring, _ bad: (String) -> WebSocketError
    ) throws(WebSocketError) -> (Substring, Substring) {
        if authority.hasPrefix("[") {
            let host = authority.dropFirst().prefix { $0 != "]" }
            let end = authority[host.endIndex...].dropFirst()
            guard host.endIndex < authority.endIndex, end.isEmpty || end.hasPrefix(":"),
                case .v6? = try? NIOCore.SocketAddress(ipAddress: String(host), port: 0)
            else { throw bad("an IPv6 address stands in brackets, as in [::1]:8080") }
            return (host, end)
        }
        let host = authority.prefix { $0 != ":" }
        let end = authority[host.endIndex...]
        guard !end.dropFirst().contains(":") else { throw bad("an IPv6 address stands in brackets, as in [::1]:8080") }
        guard !host.isEmpty else { throw bad("it names no host") }
        if let odd = host.first(where: { !$0.isLetter && !$0.isNumber && !"-._".contains($0) }) {
            throw bad("no host has '\(odd)' in its name")
        }
        return (host, end)
    }
}
