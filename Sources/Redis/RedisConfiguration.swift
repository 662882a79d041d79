package import PatchbayPlugin

/// Which server, how to get in, and how patient to be.
package struct RedisConfiguration: Sendable {
    package var url: RedisURL
    /// Nil for the server's default user.
    package var username: String?
    package var password: Secret?
    /// Whom to trust, for `rediss:`.
    package var tls: RedisTLS?
    /// For one command from the question to the reply, and for one attempt to connect.
    package var timeout = Duration.milliseconds(600)
    /// How many commands may wait for a reply, or for a connection.
    package var queue = 1024
    package var backoff = Backoff()

    package init(url: RedisURL) {
        self.url = url
    }

    /// A server that says nothing for so long, though it was asked, is left, and connected to again.
    var silence: Duration { timeout * 5 }
    /// A server whose answer takes longer is slow, and has a fifth of the time for each further one.
    var patience: Duration { timeout / 3 }
}

/// What becomes of the connection after it was there for the first time.
package enum RedisEvent: Sendable, Hashable {
    /// It was lost, and the first attempt to connect again has failed.
    case away(RedisError)
    /// It is there again.
    case back
}

/// Something that has a Redis, for others to use with keys of their own.
package protocol RedisBacked: Sendable {
    /// Open while the gateway runs.
    var redis: RedisClient { get }
    /// What keys begin with that are nobody else's.
    var prefix: String { get }
}
