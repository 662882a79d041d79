package import WebSocket

/// One HTTP response. The server adds `Content-Length` and, where it closes, `Connection`.
package struct Response: Sendable {
    package var status: Int
    package var headers: [String: String]
    package var body: [UInt8]

    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A response whose body is JSON text.
    package static func json(_ text: String, status: Int = 200, headers: [String: String] = [:]) -> Response {
        var response = Response(status: status, headers: headers, body: Array(text.utf8))
        response.headers["content-type"] = "application/json"
        return response
    }
}

/// What becomes of a WebSocket handshake.
package enum Upgrade: Sendable {
    /// 101, with the subprotocol chosen among those offered; `handler` owns the socket, which closes with 1000 when
    /// it returns.
    case accept(subprotocol: String?, handler: @Sendable (WebSocketConnection) async -> Void)
    /// The response goes out as it is.
    case refuse(Response)
}
