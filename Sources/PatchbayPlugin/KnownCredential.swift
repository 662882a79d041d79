/// A credential that an auth instance knows, as `patchbay token list` shows it. Nothing in it lets anybody in, but for an embed
/// token, which is public, and a key that somebody has stored in the place of its hash and that looks like one.
public struct KnownCredential: Sendable, Hashable {
    /// What ``TokenMinter/revoke(_:)`` knows it by, where it is in a store: an embed token, or the hash of an API key; nil where what stands there may be
    /// the secret itself.
    public var name: String?
    /// What people call it, where it has another name.
    public var id: String?
    /// The store that it stands in; nil for the configuration.
    public var store: String?
    /// As whom its callers come.
    public var user: String?
    /// The user's organisation.
    public var organization: String?
    /// The workflow that it starts, or the only one that it is good for; nil for any.
    public var workflowID: Int?
    /// From when on it is no longer good, since 1970-01-01 UTC; nil where it does not end.
    public var expires: Duration?
    /// Whether it is in use. One that cannot be read is not.
    public var isActive = true
    /// How often it was used; nil where nobody counts.
    public var uses: Int?
    /// How often it may be used; nil for any number.
    public var usageLimit: Int?
    /// What is wrong with it, though it may be good for something; nil where nothing is.
    public var fault: String?

    /// Makes one that is in use.
    public init(name: String, store: String?) {
        self.name = name
        self.store = store
    }

    /// Makes one that stands in a store, and cannot be read.
    public init(name: String?, store: String, fault: String) {
        self.name = name
        self.store = store
        self.fault = fault
        isActive = false
    }
}
