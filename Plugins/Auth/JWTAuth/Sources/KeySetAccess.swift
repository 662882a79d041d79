package import OutboundHTTP

/// What a key set that is fetched needs of the world; tests have a world of their own.
package struct KeySetAccess: Sendable {
    /// Fetches the document, or throws why not.
    package var fetch: @Sendable (HTTPEndpoint) async throws -> [UInt8]
    /// Time that nobody sets: the age of keys is measured by it.
    package var now: @Sendable () -> Duration
    /// Waits, unless it is cancelled.
    package var pause: @Sendable (Duration) async throws -> Void
    /// What others have fetched by this access.
    package var memory: KeySetMemory

    /// Makes an access, which tests do.
    package init(
        fetch: @escaping @Sendable (HTTPEndpoint) async throws -> [UInt8],
        now: @escaping @Sendable () -> Duration, pause: @escaping @Sendable (Duration) async throws -> Void,
        memory: KeySetMemory = KeySetMemory()
    ) {
        self.fetch = fetch
        self.now = now
        self.pause = pause
        self.memory = memory
    }

    /// The network, and the clock that goes on while the machine sleeps. One for the process: instances that follow one
    /// another hand their keys on.
    static let live: KeySetAccess = {
        let start = ContinuousClock.now
        return KeySetAccess(
            fetch: { endpoint in
                let reply = try await OutboundHTTP.get(endpoint, within: .seconds(3), limit: KeySet.longest)
                guard reply.status == 200 else { throw KeySetError.status(reply.status) }
                return reply.body
            },
            now: { start.duration(to: .now) },
            pause: { try await Task.sleep(for: $0, clock: .continuous) })
    }()
}
