/// What a tenant's callers have for TURN: whether there is a server, and credentials for it.
public struct TURNAccess: Sendable {
    /// Whether callers can only connect through a relay.
    public var isForced: Bool
    private let issuer: (@Sendable (_ id: String, _ lifetime: Duration?) throws -> TURNCredentials)?

    /// Makes access to a server whose credentials `issuer` makes; without one there is no server.
    public init(
        isForced: Bool = false,
        issuer: (@Sendable (_ id: String, _ lifetime: Duration?) throws -> TURNCredentials)? = nil
    ) {
        self.isForced = isForced
        self.issuer = issuer
    }

    /// Whether there is a server whose secret is known.
    public var isAvailable: Bool { issuer != nil }

    /// Makes credentials for somebody; nil when there is no server.
    ///
    /// - Parameters:
    ///   - id: who uses them, for the server's log.
    ///   - lifetime: how long they are good at the most; the server's own setting may be shorter.
    public func credentials(for id: String, lifetime: Duration? = nil) throws -> TURNCredentials? {
        try issuer?(id, lifetime)
    }
}

/// Credentials that a TURN server checks by a shared secret, without having met their user before
/// (draft-uberti-behave-turn-rest-00 §2.2).
public struct TURNCredentials: Sendable, Hashable {
    /// When they end, in seconds since 1970-01-01 UTC, a colon, and the user's id.
    public var username: String
    /// Base64 of HMAC-SHA1 of the username.
    public var password: String
    /// Seconds they are good for.
    public var timeToLive: Int
    /// `turn:` and `turns:` URIs (RFC 7065).
    public var uris: [String]

    /// Makes credentials.
    public init(username: String, password: String, timeToLive: Int, uris: [String]) {
        self.username = username
        self.password = password
        self.timeToLive = timeToLive
        self.uris = uris
    }

    /// As clients read them.
    public var json: JSONValue {
        [
            "username": .string(username), "password": .string(password), "ttl": .integer(timeToLive),
            "uris": .array(uris.map(JSONValue.string)),
        ]
    }
}
