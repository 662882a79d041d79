import Logging
import PatchbayPlugin
import Signaling

extension Tenant {
    /// The answer of the plugin that has a route for a request, and why that refuses it; nil where none has.
    ///
    /// - Parameters:
    ///   - path: what is left of the request's below the tenant's.
    ///   - turn: what the tenant's callers have for TURN.
    ///   - logger: hears why a route failed.
    func pluginResponse(
        to request: Request, path: ArraySlice<String>, turn: TURNAccess, logger: Logger
    ) async -> (Response, Denial?)? {
        for (authInstance, provider) in routeProviders {
            for route in provider.routes where route.method == .any || route.method.rawValue == request.method {
                guard let parameters = Router.parameters(of: path, in: route.path) else { continue }
                let pluginRequest = RouteRequest(
                    tenant: name, method: request.method, parameters: parameters, headers: request.headers,
                    remoteAddress: request.remoteAddress, remoteNetwork: request.remoteNetwork, body: request.body,
                    runs: runs, turn: turn)
                do {
                    let response = try await route.handler(pluginRequest)
                    var denial = response.denial
                    denial?.authInstance = authInstance
                    return (Response(status: response.status, headers: response.headers, body: response.body), denial)
                } catch {
                    logger.error(
                        "route failed", metadata: ["tenant": "\(name)", "route": "\(route.path)", "error": "\(error)"])
                    return (Router.failure(500, "Internal Server Error"), nil)
                }
            }
        }
        return nil
    }
}
