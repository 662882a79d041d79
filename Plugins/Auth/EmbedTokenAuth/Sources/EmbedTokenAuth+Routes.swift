internal import Logging
public import PatchbayPlugin

extension EmbedTokenAuth: RouteProvider {
    /// All that embed pages ask for, and the CORS preflights before.
    public var routes: [Route] {
        [Route(.any, "/api/v1/public/embed/{path*}") { request in await respond(to: request) }]
    }

    private func respond(to request: RouteRequest) async -> RouteResponse {
        let response: RouteResponse
        do {
            response = try await answer(request)
        } catch let refusal as Refusal {
            response = refusal.response
        } catch {
            context.logger.error("an embed page got no answer", metadata: ["error": "\(error)"])
            response = Refusal(500, "Internal Server Error").response
        }
        return isPreflight(request) ? response : readable(response, by: request)
    }

    private func answer(_ request: RouteRequest) async throws -> RouteResponse {
        guard let endpoint = Endpoint(path: request.parameters["path"] ?? "") else { throw Refusal(404, "Not Found") }
        if request.method == "OPTIONS" { return try await options(endpoint, request) }
        guard endpoint.method == (request.method == "HEAD" ? "GET" : request.method) else {
            var response = Refusal(405, "Method Not Allowed").response
            response.headers["allow"] = "\(endpoint.method), OPTIONS"
            return response
        }
        switch endpoint {
        case .start: return try await start(request)
        case .config(let token): return try await config(token, request)
        case .turnCredentials(let session): return try await turnCredentials(session, request)
        case .chat(let session), .chatMessages(let session), .chatEnd(let session):
            return try await chat(session, request)
        }
    }
}

/// An answer that is not what the page asked for.
struct Refusal: Error {
    var status: Int
    var detail: String

    init(_ status: Int, _ detail: String) {
        self.status = status
        self.detail = detail
    }

    var response: RouteResponse {
        RouteResponse(status: status, json: ["detail": .string(detail)])
    }
}

extension EmbedToken {
    /// Refuses a page that may not use the token.
    func check(_ origin: String) throws(Refusal) {
        if !allows(origin) { throw Refusal(403, "Domain not allowed: \(origin)") }
    }
}
