public import PatchbayPlugin

/// One key, and whom it lets in as whom.
public struct APIKey: PluginSettings {
    @Field("A name for the key, which is not secret")
    public var id: String

    @Field("Its SHA-256: `patchbay token api-key` prints it beside the key")
    public var hash: KeyHash

    @Field("The user that its callers are")
    public var user: String

    @Field("The user's organisation")
    public var organization: String?

    @Field("The only workflow it is good for; unless set, any", in: 0...Int.max)
    public var workflow: Int?

    @Field("From when on it is no longer good: `2027-01-31`, `2027-01-31T12:00:00Z`")
    public var expires: Timestamp?

    /// Makes the default settings.
    public init() {}
}

extension APIKey {
    /// Whether it is no longer good at `now`, since 1970-01-01 UTC.
    func hasExpired(at now: Duration) -> Bool {
        expires.map { now >= $0.sinceEpoch } ?? false
    }
}
