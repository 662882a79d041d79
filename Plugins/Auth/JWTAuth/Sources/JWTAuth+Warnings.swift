public import PatchbayPlugin

extension JWTAuth {
    /// A key set whose every issuer is believed.
    public func warnings() -> [SettingsFault] {
        guard remoteKeys != nil, settings.issuer == nil else { return [] }
        return [
            SettingsFault(
                "tokens of every issuer that signs with a key of `jwks` are good: write `issuer`", field: "jwks")
        ]
    }

    /// That another instance leaves it no token.
    public func warning(behind earlier: [any AuthPlugin]) -> String? {
        for case let other as JWTAuth in earlier where !other.leavesTokens(of: settings.issuer) {
            let reason =
                other.settings.issuer == nil
                ? "without an `issuer` it leaves none to others" : "leaves none of the same `issuer` to others"
            return "no token gets so far: '\(other.context.name)' is asked before, and \(reason)"
        }
        return nil
    }

    /// Whether it has others asked about tokens that it does not accept, where they name this issuer; nil for any.
    private func leavesTokens(of issuer: String?) -> Bool {
        guard let own = settings.issuer else { return false }
        return issuer.map { !isSame($0, own) } ?? true
    }
}
