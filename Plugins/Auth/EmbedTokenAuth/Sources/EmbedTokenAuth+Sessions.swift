internal import Logging
internal import PatchbayPlugin

/// What a page asks for by its session token.
extension EmbedTokenAuth {
    /// `GET turn-credentials/{session}`: good for no longer than the session is, or 5 min where its call outlives that, and
    /// not given when its call is over.
    func turnCredentials(_ sessionToken: String, _ request: RouteRequest) async throws -> RouteResponse {
        let (session, token) = try await goodSession(sessionToken, request)
        let now = context.wallClock()
        if token.hasExpired(at: now) { throw Refusal.expired }
        // A session is for one call: when that is over, a relay is of no use but to somebody else.
        let run = try await request.runs.find(session.workflowRunID, owner: .embedToken(session.token))
        if run?.hasEnded ?? true { throw Refusal.sessionExpired }
        // A call that outlives its session has it looked at again by and by.
        let end = session.hasExpired(at: now) ? now + .seconds(300) : .seconds(session.expires)
        let rest = min(end, token.expires?.sinceEpoch ?? end) - now
        let credentials: TURNCredentials?
        if request.turn.isAvailable, !turnLimit.admit(session.turnID, now: now) {
            throw Refusal(429, "Too many TURN credentials. Please try again shortly", code: Denial.tooManyRequests.code)
        }
        do {
            credentials = try request.turn.credentials(for: "embed:\(session.turnID)", lifetime: rest)
        } catch {
            context.logger.error(
                "no TURN credentials could be made", metadata: ["tenant": "\(request.tenant)", "error": "\(error)"])
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
        case .text: throw Refusal(501, "Chat is not served here", code: "chat_not_served")
        }
    }

    private func goodSession(_ sessionToken: String, _ request: RouteRequest) async throws -> (Session, EmbedToken) {
        guard let session = try await session(sessionToken, tenant: request.tenant) else {
            throw Refusal(404, "Invalid session token", code: "invalid_session_token")
        }
        guard let token = try await token(session.token) else { throw Refusal.invalidToken }
        if try await session.isOver(at: context.wallClock(), request.runs) { throw Refusal.sessionExpired }
        guard token.active else { throw Refusal.inactive }
        try token.check(request.origin)
        guard try await session.isOf(pageAt: request.origin, store, keptFor: lifetime * 2) else {
            throw Refusal.page(request.origin, code: "origin_changed", "Another page started the session")
        }
        return (session, token)
    }
}
