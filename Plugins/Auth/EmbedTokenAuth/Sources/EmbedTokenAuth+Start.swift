internal import Logging
internal import PatchbayPlugin

extension EmbedTokenAuth {
    /// `POST init`: makes a run and a session from an embed token.
    func start(_ request: RouteRequest) async throws -> RouteResponse {
        let body: StartRequest
        switch StartRequest.parse(request.body) {
        case .success(let parsed): body = parsed
        case .failure(let fault): return RouteResponse(status: 422, json: ["detail": [fault.detail]])
        }
        let now = context.wallClock()
        guard let token = try await token(body.token) else { throw Refusal.invalidToken }
        guard token.active else { throw Refusal.inactive }
        if token.hasExpired(at: now) { throw Refusal.expired }
        try token.check(request.origin)
        if token.isForChat { throw Refusal(501, "Chat is not served here", code: "chat_not_served") }
        let (network, tenant) = (request.remoteNetwork, request.tenant)
        guard startLimits.admit(token: token.token, network: network, tenant: tenant, now: now) else {
            throw Refusal(429, "Too many sessions. Please try again shortly", code: Denial.tooManyRequests.code)
        }

        // Uses are counted without a limit too: one may be set later. What fails from here on does not give the use back.
        let use = try await stored(request, orRefuse: "Failed to create workflow run") {
            try await store.increment(key(ofUses: token.token), limit: token.usageLimit ?? .max)
        }
        if use == nil { throw Refusal(403, "Embed token usage limit exceeded", code: "usage_limit_exceeded") }
        let run = try await stored(request, orRefuse: "Failed to create workflow run") {
            try await request.runs.addNext(
                owner: .embedToken(token.token), workflowID: token.workflow,
                timeToLive: max(lifetime * 2, lifetime + .seconds(120)))
        }
        let session = Session(
            tenant: request.tenant, token: token.token, workflowRunID: run.id, contextVariables: body.context,
            expires: Int((now + lifetime).components.seconds), turnID: randomText(16),
            clientAddress: request.remoteAddress, userAgent: cut(request.headers["user-agent"] ?? "", to: 500),
            origin: cut(request.origin, to: Session.originLength))
        let sessionToken = try await stored(request, orRefuse: "Failed to create session") { try await keep(session) }

        let ids: [String: JSONValue] = [
            "workflow_id": .integer(token.workflow), "workflow_run_id": .integer(run.id),
        ]
        return RouteResponse(
            status: 200,
            json: [
                "session_token": .string(sessionToken), "workflow_run_id": .integer(run.id),
                "config": .object(ids.merging(token.settings) { _, own in own }),
                "widget_type": "voice", "chat_session": .null,
            ])
    }

    /// Tells the page that it failed, and the log why.
    private func stored<Value: Sendable>(
        _ request: RouteRequest, orRefuse detail: String, _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch {
            context.logger.error(
                "an embed session could not start", metadata: ["tenant": "\(request.tenant)", "error": "\(error)"])
            throw Refusal(500, detail)
        }
    }
}

/// The body of `POST init`.
private struct StartRequest {
    var token: String
    var variables: [String: JSONValue] = [:]
    /// The names of the variables as they follow one another.
    var order: [String] = []

    /// What the call gets to know; what the gateway says wins over the page.
    var context: [String: JSONValue] {
        sanitized(variables, order: order).merging(["provider": "smallwebrtc", "direction": "inbound"]) { $1 }
    }

    static func parse(_ body: [UInt8]) -> Result<StartRequest, ShapeFault> {
        var member = ""
        var order: [String] = []
        let json = try? JSONValue(parsing: body) { depth, name in
            if depth == 1 { member = name }
            if depth == 2, member == "context_variables" { order.append(name) }
        }
        guard let json else {
            return .failure(ShapeFault(kind: "json_invalid", field: nil, message: "JSON decode error"))
        }
        guard let members = json.object else {
            return .failure(ShapeFault(kind: "dict_type", field: nil, message: "Input should be an object"))
        }
        guard let token = members["token"] else {
            return .failure(ShapeFault(kind: "missing", field: "token", message: "Field required"))
        }
        guard case .string(let token) = token else {
            return .failure(ShapeFault(kind: "string_type", field: "token", message: "Input should be a valid string"))
        }
        switch members["context_variables"] {
        case nil, .null: return .success(StartRequest(token: token))
        case .object(let variables):
            return .success(StartRequest(token: token, variables: variables, order: order))
        case .bool, .integer, .number, .string, .array:
            return .failure(
                ShapeFault(
                    kind: "dict_type", field: "context_variables", message: "Input should be a valid dictionary"))
        }
    }
}

/// Where a body has not the shape it must have, in the words of FastAPI, which clients know.
private struct ShapeFault: Error {
    var kind: String
    var field: String?
    var message: String

    var detail: JSONValue {
        let place: [JSONValue] = ["body"] + (field.map { [.string($0)] } ?? [])
        return ["type": .string(kind), "loc": .array(place), "msg": .string(message)]
    }
}
