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
            context.logger.error(
                "an embed page got no answer", metadata: ["tenant": "\(request.tenant)", "error": "\(error)"])
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
    var denial: Denial?

    /// - Parameter code: why somebody is refused; nil where it is not about who asks.
    init(_ status: Int, _ detail: String, code: String? = nil) {
        self.status = status
        self.detail = detail
        denial = code.map { Denial(code: $0, message: detail) }
    }

    var response: RouteResponse {
        var response = RouteResponse(status: status, json: ["detail": .string(detail)])
        response.denial = denial
        return response
    }
}

extension Refusal {
    static let invalidToken = Refusal(404, "Invalid embed token", code: "invalid_embed_token")
    static let inactive = Refusal(403, "Embed token is inactive", code: "embed_token_inactive")
    static let expired = Refusal(403, "Embed token has expired", code: "embed_token_expired")
    static let sessionExpired = Refusal(403, "Session expired", code: "session_expired")

    /// The page hears which origin it has. A referrer is a whole address, which does not belong in the log.
    static func page(_ origin: String, code: String, _ reason: String) -> Refusal {
        var refusal = Refusal(403, "Domain not allowed: \(origin)")
        refusal.denial = Denial(code: code, message: reason)
        return refusal
    }
}

extension EmbedToken {
    /// Refuses a page that may not use the token.
    func check(_ origin: String) throws(Refusal) {
        if !allows(origin) { throw .page(origin, code: "domain_not_allowed", "Domain not allowed") }
    }
}
