/// An auth or pipeline plugin that serves HTTP. The host mounts its routes under each tenant that uses the instance,
/// and applies its limits. Two instances with the same route cannot serve one tenant.
public protocol RouteProvider: Plugin {
    /// The routes, fixed for the instance's life.
    var routes: [Route] { get }
}

/// One HTTP endpoint.
public struct Route: Sendable {
    /// HTTP methods that a plugin can serve.
    public enum Method: String, Sendable, Hashable {
        /// GET
        case get = "GET"
        /// POST
        case post = "POST"
        /// OPTIONS
        case options = "OPTIONS"
        /// Whatever the request has.
        case any = "*"
    }

    /// Answers one request.
    public typealias Handler = @Sendable (RouteRequest) async throws -> RouteResponse

    /// The method it answers.
    public var method: Method
    /// Absolute path, in which `{name}` stands for one path segment, and `{name*}` at the end for all the rest.
    public var path: String
    /// What it does.
    public var handler: Handler

    /// Makes a route.
    public init(_ method: Method, _ path: String, handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.handler = handler
    }
}

/// A request to a plugin's route.
public struct RouteRequest: Sendable {
    /// The tenant that host or path prefix chose.
    public var tenant: String
    /// As sent, for example `GET`.
    public var method: String
    /// What stands in the path's `{name}` places; in that of `{name*}` the segments with `/` between them.
    public var parameters: [String: String]
    /// Header fields; names in lower case.
    public var headers: [String: String]
    /// The client's IP address as text.
    public var remoteAddress: String
    /// What a limit for one address counts by: the IPv4 address, or the IPv6 network of 64 bits that one subscriber
    /// has.
    public var remoteNetwork: String
    /// The whole body, at most 64 KiB.
    public var body: [UInt8]
    /// The tenant's runs.
    public var runs: WorkflowRuns
    /// What the tenant's callers have for TURN.
    public var turn: TURNAccess

    /// The `Origin` header, else `Referer`; empty when there is neither.
    public var origin: String {
        headers["origin"] ?? headers["referer"] ?? ""
    }

    /// Makes a request, which the host and tests do.
    public init(
        tenant: String, method: String, parameters: [String: String] = [:], headers: [String: String] = [:],
        remoteAddress: String = "", remoteNetwork: String? = nil, body: [UInt8] = [], runs: WorkflowRuns,
        turn: TURNAccess = TURNAccess()
    ) {
        self.tenant = tenant
        self.method = method
        self.parameters = parameters
        self.headers = headers
        self.remoteAddress = remoteAddress
        self.remoteNetwork = remoteNetwork ?? remoteAddress
        self.body = body
        self.runs = runs
        self.turn = turn
    }
}

/// A plugin's answer to a ``RouteRequest``.
public struct RouteResponse: Sendable {
    /// HTTP status code.
    public var status: Int
    /// Header fields beside Content-Length, which the host writes.
    public var headers: [String: String]
    /// The body.
    public var body: [UInt8]
    /// Why the request is refused, where it is: the host counts it and has it in its log. The client hears nothing of it.
    public var denial: Denial?

    /// Makes a response with a body of bytes.
    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Makes a response with a JSON body.
    public init(status: Int, json: JSONValue, headers: [String: String] = [:]) {
        self.init(
            status: status, headers: headers.merging(["content-type": "application/json"]) { kept, _ in kept },
            body: Array(json.description.utf8))
    }
}
