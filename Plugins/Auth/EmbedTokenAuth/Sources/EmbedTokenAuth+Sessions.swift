internal import Logging
internal import PatchbayPlugin

/// What a page asks for by its session token.
extension EmbedTokenAuth {
    /// `GET turn-credentials/{session}`: good for no longer than the session is, and while its call is not over.
    func turnCredentials(_ sessionToken: String, _ request: RouteRequest) async throws -> RouteResponse {
        let (session, token) = try await goodSession(sessionToken, request)
        let now = context.wallClock()
        if token.hasExpired(at: now) { throw Refusal(403, "Embed token has expired") }
        // A session is for one call: when that is over, a relay is of no use but to somebody else.
        let run = try await request.runs.find(session.workflowRunID, owner: .embedToken(session.token))
        if run?.hasEnded ?? true { throw Refusal(403, "Session expired") }
        let rest = min(.seconds(session.expires), token.expires?.sinceEpoch ?? .seconds(session.expires)) - now
        let credentials: TURNCredentials?
        if request.turn.isAvailable, !turnLimit.admit(session.turnID, now: now) {
            throw Refusal(429, "Too many TURN credentials. Please try again shortly")
        }
        do {
            credentials = try request.turn.credentials(for: "embed:\(session.turnID)", lifetime: rest)
        } catch {
            context.logger.error("no TURN credentials could be made", metadata: ["error": "\(error)"])
            throw Refusal(500, "Failed to generate TURN credentials")
        }
        guard let credentials else { throw Refusal(503, "TURN server not configured") }
        return RouteResponse(status: 200, json: credentials.json, headers: ["cache-control": "no-store"])
    }

    /// `chat/{session}…`: a session of ours has a call, not a conversation in writing.
    func chat(_ sessionToken: String, _ request: RouteRequest) async throws -> RouteResponse {
        let (session, _) = try await goodSession(sessionToken, request)
        let run = try await request.runs.find(session.workflowRunID, owner: .embedToken(session.token))
        guard let run else { throw Refusal(404, "Chat session not found") }
        switch run.mode {
        case .voice: throw Refusal(400, "Not a chat session")
        case .text: throw Refusal(501, "Chat is not served here")
        }
    }

    private func goodSession(_ sessionToken: String, _ request: RouteRequest) async throws -> (Session, EmbedToken) {
        guard let session = try await session(sessionToken, tenant: request.tenant) else {
            throw Refusal(404, "Invalid session token")
        }
        guard let token = try await token(session.token) else { throw Refusal(404, "Invalid embed token") }
        if session.hasExpired(at: context.wallClock()) { throw Refusal(403, "Session expired") }
        guard token.active else { throw Refusal(403, "Embed token is inactive") }
        try token.check(request.origin)
        guard try await session.isOf(pageAt: request.origin, store, keptFor: lifetime * 2) else {
            throw Refusal(403, "Domain not allowed: \(request.origin)")
        }
        return (session, token)
    }
}
