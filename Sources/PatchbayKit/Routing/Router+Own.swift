import Logging
import PatchbayPlugin
import Signaling

/// What the gateway itself answers under a tenant: whether it is there, and TURN credentials.
extension Router {
    /// nil where the path is somebody else's.
    func ownResponse(to request: Request, tenant: Tenant, path: ArraySlice<String>) async -> Response? {
        let answer: () async -> Response
        switch Array(path) {
        case Self.prefix + ["health"]: answer = { health(request, tenant) }
        case Self.prefix + ["turn", "credentials"]: answer = { await turnCredentials(request, tenant) }
        default: return nil
        }
        var response: Response
        if request.method == "OPTIONS" {
            response = Response(
                status: 200,
                headers: [
                    "access-control-allow-methods": "GET, OPTIONS",
                    "access-control-allow-headers": "Authorization, X-API-Key, Content-Type",
                    "access-control-max-age": "86400",
                ])
        } else if request.isRead {
            response = await answer()
        } else {
            response = Self.failure(405, "Method Not Allowed")
        }
        // A dashboard may have another origin. It sends its token by itself, never a cookie, so any page may ask.
        if let origin = request.headers["origin"] {
            response.headers["access-control-allow-origin"] = origin
            response.headers["vary"] = "Origin"
        }
        return response
    }

    private func health(_ request: Request, _ tenant: Tenant) -> Response {
        let scheme = request.headers["x-forwarded-proto"] == "https" ? "https" : "http"
        // Of a tenant that is matched by path, with that path.
        let base = request.path.dropLast(3).map { "/" + $0 }.joined()
        let body: JSONValue = [
            "status": "ok", "version": .string(Patchbay.version),
            "backend_api_endpoint": .string("\(scheme)://\(request.host)\(base)"), "tunnel_url": .null,
            "deployment_mode": "oss", "auth_provider": "local", "turn_enabled": .bool(turnServer != nil),
            "force_turn_relay": .bool(tenant.onlyRelays), "signup_enabled": false, "stack_project_id": .null,
            "stack_publishable_client_key": .null,
        ]
        return .json(body.description)
    }

    private func turnCredentials(_ request: Request, _ tenant: Tenant) async -> Response {
        func refusal(_ denial: Denial, _ status: Int, by authInstance: String? = nil, told: String? = nil) -> Response {
            refuse("TURN credentials", denial, request, tenant, by: authInstance)
            return Self.failure(status, told ?? denial.message)
        }
        if let denial = tenant.refusal(ofPageBehind: request) { return refusal(denial, 403) }
        let connect = Self.credentials(of: request, tenant: tenant, readsQuery: false)
        let detail =
            if connect.apiKey != nil { "Invalid or expired API key" } else if connect.bearerToken != nil {
                "Invalid or expired token"
            } else { "Missing authentication token" }
        let principal: Principal
        do throws(Tenant.AuthFailure) {
            switch try await tenant.authenticate(connect, takesAnonymous: false) {
            case .accept(let accepted): principal = accepted
            case .reject(let denial) where denial.code == Denial.tooManyRequests.code: return refusal(denial, 429)
            // What an endpoint of the deployer's says of it is for the log.
            case .reject(let denial): return refusal(denial, 401, told: detail)
            case .pass: return refusal(Denial(code: Denial.noCredential.code, message: detail), 401)
            }
        } catch {
            environment.logger.report(error, of: tenant)
            let denial = Denial(code: "unavailable", message: "Authentication is unavailable")
            return refusal(denial, 503, by: error.instance)
        }
        let now = served.current.wallClock()
        // Whole: the TURN server has limits by the name, too, and user 7 of another tenant is somebody else.
        let caller = "\(tenant.name)/\(principal.authInstance ?? "")/\(principal.id)"
        if turnServer != nil {
            guard turnLimit.admit(caller, now: now) else {
                var denial = Denial.tooManyRequests
                denial.message = "Too many TURN credentials. Please try again shortly"
                return refusal(denial, 429, by: principal.authInstance)
            }
        }
        do {
            let lifetime = principal.expires.map { $0 - now }
            guard let credentials = try turn(of: tenant).credentials(for: caller, lifetime: lifetime) else {
                return Self.failure(503, "TURN server not configured")
            }
            var response = Response.json(credentials.json.description)
            response.headers["cache-control"] = "no-store"
            return response
        } catch {
            environment.logger.error(
                "TURN credentials failed", metadata: ["tenant": "\(tenant.name)", "error": "\(error)"])
            return Self.failure(500, "Failed to generate TURN credentials")
        }
    }
}
