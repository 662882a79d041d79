public import PatchbayPlugin

/// One token that pages show, and what it is good for.
public struct EmbedToken: PluginSettings {
    @Field("What the page shows: `patchbay token` makes one")
    public var token: String

    @Field("The workflow it starts", in: 0...Int.max)
    public var workflow: Int

    @Field("Domains of pages that may use it, as `example.com`, `*.example.com` or `localhost:3000`; empty allows all")
    public var allowedDomains: [String] = []

    @Field("Whether it is good; false shuts out its sessions too")
    public var active: Bool = true

    @Field("How many sessions pages may start with it in all, called or not; without it, any number", in: 1...Int.max)
    public var usageLimit: Int?

    @Field("From when on it is no longer good, nor its sessions: `2027-01-31`, `2027-01-31T12:00:00Z`")
    public var expires: Timestamp?

    @Field("The organisation its calls belong to")
    public var organization: String?

    @Field("The user its calls run as; without it, the token itself")
    public var owner: String?

    @Field("Handed to the page as `config`")
    public var settings: [String: JSONValue] = [:]

    /// Makes the default settings.
    public init() {}
}

extension EmbedToken {
    /// Whether the page wants a conversation in writing, which this gateway does not serve.
    var isForChat: Bool { settings["widgetType"] == "chat" }

    /// Whether it is no longer good at `now`, since 1970-01-01 UTC.
    func hasExpired(at now: Duration) -> Bool {
        expires.map { now >= $0.sinceEpoch } ?? false
    }

    /// Why nobody may call with it at `now`; nil while it is good.
    func denial(at now: Duration) -> Denial? {
        if !active { return Denial(code: "embed_token_inactive", message: "Embed token is inactive") }
        if hasExpired(at: now) { return Denial(code: "embed_token_expired", message: "Embed token has expired") }
        return nil
    }

    /// Whether a page at `origin` may use it. No domain allows every page; an entry that is no rule allows none.
    func allows(_ origin: String) -> Bool {
        allowedDomains.isEmpty || allowedDomains.lazy.compactMap(OriginRule.decode).allow(origin)
    }

    /// Which of its domains is none, and what is wrong with it; nil where nothing is.
    var domainFault: (index: Int, text: String)? {
        for (index, domain) in allowedDomains.enumerated() {
            if let advice = OriginRule.advice(for: domain) {
                return (index: index, text: "'\(domain.prefix(64))' is no domain of a page: \(advice)")
            }
        }
        return nil
    }

    /// Whether text can be a token: 1 to 256 letters, digits and `- . _ ~`, which mean themselves in a URL (RFC 3986
    /// §2.3).
    static func isWellFormed(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch Unicode.Scalar(byte) {
                case "A"..."Z", "a"..."z", "0"..."9", "-", ".", "_", "~": true
                default: false
                }
            }
    }
}
