internal import PatchbayPlugin

/// How fast sessions may start: for each token, so that nobody can spend its owner's calls in no time, and for each
/// address. Tenants may share an instance, and none sees what is started at another.
struct StartLimits: Sendable {
    private let token: RateLimit
    private let network: RateLimit

    init(perToken: Int, perAddress: Int) {
        (token, network) = (RateLimit(perMinute: perToken), RateLimit(perMinute: perAddress))
    }

    /// Counts one start, unless it is one too many. What an address may not do is not counted against the token, or one
    /// visitor could keep the others out.
    func admit(token: String, network: String, tenant: String, now: Duration) -> Bool {
        self.network.admit("\(tenant)/\(network)", now: now) && self.token.admit("\(tenant)/\(token)", now: now)
    }
}
