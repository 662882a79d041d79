/// Who shares what a quota gives, for quotas that leave it to their settings.
public enum QuotaScope: String, FieldChoice {
    /// All callers of a tenant.
    case tenant
    /// One caller, as an auth instance of the tenant knows it. Visitors of embed pages are the user that the page's calls
    /// run as, by the embed instance; callers whom nobody knows are one.
    case user
    /// The visitors of the pages that show one embed token. The quota is not about other callers.
    case embedToken = "embed_token"
    /// All callers of all tenants that name the instance.
    case instance

    /// The name of those who share with this call, the same in every gateway; nil for a call that the quota is not about.
    public func holder(of request: CallRequest) -> String? {
        // Names of tenants and instances have no slash.
        switch self {
        case .tenant: request.tenant
        case .user: "\(request.tenant)/\(request.principal.authInstance ?? "")/\(request.principal.id)"
        case .embedToken:
            if case .embedToken(let token) = request.principal.runOwner { "\(request.tenant)/\(token)" } else { nil }
        case .instance: ""
        }
    }
}
