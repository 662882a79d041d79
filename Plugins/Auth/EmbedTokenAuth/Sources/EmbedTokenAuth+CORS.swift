internal import PatchbayPlugin

extension EmbedTokenAuth {
    /// Whether a browser asks if a page may make a request (Fetch §3.3.2).
    func isPreflight(_ request: RouteRequest) -> Bool {
        request.method == "OPTIONS" && request.headers["origin"] != nil
            && request.headers["access-control-request-method"] != nil
    }

    /// Lets the page read the answer, whatever it is. Who may start a call is decided elsewhere, not by CORS.
    func readable(_ response: RouteResponse, by request: RouteRequest) -> RouteResponse {
        guard let origin = request.headers["origin"] else { return response }
        var response = response
        response.headers["access-control-allow-origin"] = origin
        response.headers["vary"] = "Origin"
        return response
    }

    /// Answers a preflight, and any other OPTIONS as if it were one.
    func options(_ endpoint: Endpoint, _ request: RouteRequest) async throws -> RouteResponse {
        let methods = endpoint.preflightMethods
        if let asked = request.headers["access-control-request-method"], !methods.contains(asked) {
            return RouteResponse(status: 405)
        }
        guard try await mayAsk(endpoint, request) else { return RouteResponse(status: 403) }
        var headers = [
            "access-control-allow-methods": (methods + ["OPTIONS"]).joined(separator: ", "),
            "access-control-allow-headers": "Content-Type, Origin",
            "access-control-max-age": "86400",
            "vary": "Origin",
        ]
        headers["access-control-allow-origin"] = request.headers["origin"] ?? (endpoint == .start ? "*" : nil)
        return RouteResponse(status: 200, headers: headers)
    }

    private func mayAsk(_ endpoint: Endpoint, _ request: RouteRequest) async throws -> Bool {
        switch endpoint {
        case .start:
            // Which token the page will send cannot be seen yet.
            return true
        case .config(let token):
            guard let token = try await self.token(token) else { return false }
            return token.active && token.allows(request.origin)
        case .turnCredentials(let session), .chat(let session), .chatMessages(let session), .chatEnd(let session):
            // A session that is none is for the request itself to say, where the page can read it.
            guard let session = try await self.session(session, tenant: request.tenant),
                !session.hasExpired(at: context.wallClock()), let token = try await token(session.token)
            else { return true }
            return token.allows(request.origin)
        }
    }
}
