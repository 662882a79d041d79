public import PatchbayPlugin
internal import Redis

extension RedisStore {
    /// Which Redis, and how to get in.
    public struct Settings: PluginSettings {
        @Field("Where it is: redis://HOST:PORT/DATABASE, or rediss: with TLS")
        public var url: RedisAddress

        @Field("The user of its ACL; the default user unless it is written")
        public var username: String?

        @Field("The user's password")
        public var password: Secret?

        @Field("What the keys in it begin with; gateways that share what they store have the same")
        public var prefix: String = "patchbay:"

        @Field(
            "How long the answer to one question may take, and an attempt to connect",
            in: .milliseconds(50) ... .seconds(10))
        public var timeout: Duration = .milliseconds(600)

        @Field("With rediss: a PEM file of the certificates to trust instead of the system's")
        public var trustRoots: FileReference?

        /// Makes the default settings.
        public init() {}

        /// - Throws: a ``SettingsFault`` for settings that do not go together, and for a file that cannot be read.
        func configuration() throws(SettingsFault) -> RedisConfiguration {
            if trustRoots != nil, !url.url.isSecure {
                throw SettingsFault("a redis: URL has no certificate; write rediss:", field: "trust_roots")
            }
            if username != nil, password == nil {
                throw SettingsFault("a user without a `password` cannot get in", field: "username")
            }
            var configuration = RedisConfiguration(url: url.url)
            configuration.username = username
            configuration.password = password
            configuration.timeout = timeout
            if url.url.isSecure {
                do {
                    configuration.tls = try RedisTLS(trustRoots: trustRoots?.path)
                } catch {
                    throw SettingsFault(
                        "cannot trust \(trustRoots?.path ?? "the system's certificates"): \(error)",
                        field: "trust_roots")
                }
            }
            return configuration
        }
    }
}
