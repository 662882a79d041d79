import PatchbayConfig

/// Which tenant a request is for. As many steps for ten thousand tenants as for one.
struct TenantTable: Sendable {
    private var rest: Tenant?
    private var byHost: [String: Tenant] = [:]
    /// By the segments of a path prefix.
    private var byPath: [[String]: Tenant] = [:]
    /// Of the longest prefix. What a stranger's path has beyond it is not looked at.
    private var depth = 0

    init(_ tenants: [Tenant]) {
        // The configuration's check has seen that no two have the same match.
        for tenant in tenants {
            for match in tenant.matches {
                switch match {
                case .any: rest = tenant
                case .host(let name): byHost[name] = tenant
                case .path(let prefix):
                    let segments = prefix.split(separator: "/").map(String.init)
                    byPath[segments] = tenant
                    depth = max(depth, segments.count)
                }
            }
        }
    }

    /// The tenant of a request, and the rest of its path: the longest path prefix wins, then the host, then `any`.
    func tenant(host: String, path: [String]) -> (tenant: Tenant, path: ArraySlice<String>)? {
        for length in stride(from: min(depth, path.count), to: 0, by: -1) {
            if let tenant = byPath[Array(path[..<length])] { return (tenant, path[length...]) }
        }
        return (byHost[hostName(ofHost: host)] ?? rest).map { ($0, path[...]) }
    }
}
