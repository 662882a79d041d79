internal import Logging
public import PatchbayPlugin

extension EmbedTokenAuth: RouteProvider {
    private static let initPath = "/api/v1/public/embed/init"

    /// The start of an embedded call, and its CORS preflight.
    public var routes: [Route] {
        [
            Route(.post, Self.initPath) { request in readable(await start(request), by: request) },
            Route(.options, Self.initPath) { request in preflight(request) },
        ]
    }

    /// Makes a session from an embed token.
    private func start(_ request: RouteRequest) async -> RouteResponse {
        let body: StartRequest
        switch StartRequest.parse(request.body) {
        case .success(let parsed): body = parsed
        case .failure(let fault): return RouteResponse(status: 422, json: ["detail": [fault.detail]])
        }
        guard let token = tokens[body.token] else { return failure(404, "Invalid embed token") }
        guard token.active else { return failure(403, "Embed token is inactive") }
        guard originIsAllowed(request.origin, domains: token.allowedDomains) else {
            return failure(403, "Domain not allowed: \(request.origin)")
        }

        let run: Int
        do {
            run = try await store.increment("\(Self.type):workflow_runs")
        } catch {
            context.logger.error("the store gave no number to a workflow run", metadata: ["error": "\(error)"])
            return failure(500, "Failed to create workflow run")
        }
        var variables = sanitized(body.contextVariables)
        variables["provider"] = "smallwebrtc"
        variables["direction"] = "inbound"
        let expiry = context.wallClock() + lifetime
        let sessionToken: String
        do {
            sessionToken = try await keep(
                Session(
                    tenant: request.tenant, token: token.token, workflowID: token.workflow, workflowRunID: run,
                    contextVariables: variables, expires: Int(expiry.components.seconds)))
        } catch {
            context.logger.error("the store did not take a session", metadata: ["error": "\(error)"])
            return failure(500, "Failed to create session")
        }

        let ids: [String: JSONValue] = ["workflow_id": .integer(token.workflow), "workflow_run_id": .integer(run)]
        return RouteResponse(
            status: 200,
            json: [
                "session_token": .string(sessionToken), "workflow_run_id": .integer(run),
                "config": .object(ids.merging(token.settings) { _, own in own }),
                "widget_type": "voice", "chat_session": .null,
            ])
    }

    private func failure(_ status: Int, _ detail: String) -> RouteResponse {
        RouteResponse(status: status, json: ["detail": .string(detail)])
    }

    /// Lets the page read the answer, whatever it is. Who may start a call is decided above, not by CORS.
    private func readable(_ response: RouteResponse, by request: RouteRequest) -> RouteResponse {
        guard let origin = request.headers["origin"] else { return response }
        var response = response
        response.headers["access-control-allow-origin"] = origin
        response.headers["vary"] = "Origin"
        return response
    }

    /// Any page may ask: which token it will send cannot be seen yet.
    private func preflight(_ request: RouteRequest) -> RouteResponse {
        let method = request.headers["access-control-request-method"] ?? "POST"
        return RouteResponse(
            status: method == "POST" ? 200 : 405,
            headers: [
                "access-control-allow-origin": request.headers["origin"] ?? "*",
                "access-control-allow-methods": "POST, OPTIONS",
                "access-control-allow-headers": "Content-Type, Origin",
                "access-control-max-age": "86400",
                "vary": "Origin",
            ])
    }
}

/// The body of `POST /public/embed/init`.
private struct StartRequest {
    var token: String
    var contextVariables: [String: JSONValue]

    static func parse(_ body: [UInt8]) -> Result<StartRequest, ShapeFault> {
        guard let json = try? JSONValue(parsing: body) else {
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
        case nil, .null: return .success(StartRequest(token: token, contextVariables: [:]))
        case .object(let variables): return .success(StartRequest(token: token, contextVariables: variables))
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
