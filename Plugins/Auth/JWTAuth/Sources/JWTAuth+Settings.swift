public import PatchbayPlugin

extension JWTAuth {
    /// Which tokens are good.
    public struct Settings: PluginSettings {
        @Field("The secret that tokens are signed with: 32 bytes or more for HS256, 48 for HS384, 64 for HS512")
        public var secret: Secret?

        @Field("Public keys of those who sign tokens, in PEM files")
        public var keys: [PublicKeyFile] = []

        @Field("The URL of the issuer's key set (JWKS): https, or http on this machine")
        public var jwks: String?

        @Field("How often the key set is fetched", in: .seconds(300) ... .seconds(3_600))
        public var jwksRefresh: Duration = .seconds(900)

        @Field("The algorithms a token may be signed with; unless set, HS256 for `secret` and what each key is for")
        public var algorithms: [Algorithm]?

        @Field("What `iss` must be; not checked unless set")
        public var issuer: String?

        @Field("What `aud` must be or contain. Unless set, a token that names an audience is refused")
        public var audience: String?

        @Field("How far the clocks of issuer and gateway may differ, at most a minute", in: .zero ... .seconds(60))
        public var leeway: Duration = .seconds(30)

        @Field(
            "The longest time from `iat`, or from now where there is none, to `exp`",
            in: .seconds(1) ... .seconds(31_536_000))
        public var longestLife: Duration?

        @Field("Claims that a token must have: a list of names, or names with the value, or a list of values, for each")
        public var required: JSONValue = [:]

        @Field("What the header's `typ` must be, such as at+jwt; not checked unless set")
        public var typ: String?

        @Field("The claim that names the caller")
        public var userClaim: String = "sub"

        @Field("The claim that names the caller's organisation")
        public var organizationClaim: String = "org"

        /// Makes the default settings.
        public init() {}
    }

    /// A public key in a file.
    public struct PublicKeyFile: PluginSettings {
        @Field("What a token's `kid` must be, where it has one; unless set, any will do")
        public var kid: String?

        @Field("The one algorithm that the key is for")
        public var algorithm: Algorithm

        @Field("The public key: PEM, of at most 16 KiB")
        public var file: FileReference

        /// Makes the default settings.
        public init() {}
    }
}
