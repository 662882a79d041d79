public import PatchbayPlugin

extension JWTAuth {
    /// Which tokens are good.
    public struct Settings: PluginSettings {
        @Field("The secret the tokens are signed with, 32 bytes or more")
        public var secret: Secret

        @Field("The algorithms a token may be signed with")
        public var algorithms: [Algorithm] = [.hs256]

        @Field("What `iss` must be; not checked unless set")
        public var issuer: String?

        @Field("What `aud` must be or contain. Unless set, a token that names an audience is refused")
        public var audience: String?

        @Field("How far the clocks of issuer and gateway may differ, at most a minute", in: .zero ... .seconds(60))
        public var leeway: Duration = .seconds(30)

        @Field("The claim that names the caller's organisation")
        public var organizationClaim: String = "org"

        /// Makes the default settings.
        public init() {}
    }

    /// Signature algorithms (RFC 7518 §3.1).
    public enum Algorithm: String, FieldChoice {
        /// HMAC with SHA-256.
        case hs256 = "HS256"
    }
}
