import PatchbayConfig
import PatchbayPlugin
import Signaling

extension Tenant {
    /// Why a request from a page of another host is refused; nil where it is not, nor is it from a page at all.
    ///
    /// A browser that was told a credential once, by a proxy's cookie or as Basic authentication, shows it for any page, and
    /// one whom nobody knows shows none. Embed sessions have an allowlist of their own.
    /// - Parameter principal: the caller, once it is known who it is.
    func refusal(ofPageBehind request: Request, _ principal: Principal? = nil) -> Denial? {
        guard let origin = request.headers["origin"], !OriginRule.isOwn(origin, host: request.host) else { return nil }
        let isAllowed = origins.map { $0.allows(origin) } ?? (principal.map { $0.authInstance != nil } ?? true)
        return isAllowed ? nil : Denial(code: "origin_not_allowed", message: "Origin not allowed")
    }
}
