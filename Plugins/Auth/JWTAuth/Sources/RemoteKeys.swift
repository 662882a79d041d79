internal import Logging
internal import OutboundHTTP

/// An issuer's key set: fetched now and then, and kept while the issuer is not there.
///
/// Who shows a token whose key is known never waits for the issuer. Who shows one of another key has the set fetched, for
/// there may be new keys; but that is done once in half a minute, whoever asks, for anybody can make a token that names a
/// key. Of all who wait at the same time one fetches.
actor RemoteKeys {
    /// How long keys are good after the set was fetched last.
    static let longestAge = Duration.seconds(86_400)
    /// How often a key that nobody knows may have the set fetched.
    static let searchInterval = Duration.seconds(30)
    /// When a fetch is tried again that failed; sooner when there are no keys at all.
    static let retryInterval = (withKeys: Duration.seconds(30), without: Duration.seconds(5))

    private let endpoint: HTTPEndpoint
    private let algorithms: [JWTAuth.Algorithm]?
    private let interval: Duration
    private let access: KeySetAccess
    /// What others who believe the same issuer have fetched, too.
    private let shared: KeySetMemory.Set
    private let logger: Logger

    private var keys: [VerificationKey] = []
    /// What they were read from.
    private var document: [UInt8] = []
    /// When they were asked for, by `access.now`.
    private var fetched: Duration?
    /// Why the last attempt failed; nil when it did not.
    private var failure: String?
    /// The one that is under way.
    private var attempt: Task<Void, Never>?
    private var lastAttempt: Duration?
    private var lastSearch: Duration?
    private var refreshing: Task<Void, Never>?

    init(
        endpoint: HTTPEndpoint, algorithms: [JWTAuth.Algorithm]?, interval: Duration, access: KeySetAccess,
        logger: Logger
    ) {
        self.endpoint = endpoint
        self.algorithms = algorithms
        self.interval = interval
        self.access = access
        shared = access.memory.set(of: endpoint)
        self.logger = logger
    }

    /// Fetches the keys, and goes on doing so until `stop`. An issuer that is not there is no reason not to start: others
    /// may sign in in other ways.
    func start() async {
        guard refreshing == nil else { return }
        adopt()
        await refresh()
        refreshing = Task { await refreshNowAndThen() }
    }

    func stop() {
        refreshing?.cancel()
        refreshing = nil
    }

    /// The keys that a token with this header may be signed with.
    ///
    /// - Throws: a ``KeySetUnavailable`` when nobody can tell.
    func keys(for header: Header) async throws(KeySetUnavailable) -> [VerificationKey] {
        if !hasKeys { try await wait() }
        let found = keys.filter { $0.fits(header) }
        return found.isEmpty ? try await search(header) : found
    }

    var hasKeys: Bool { !isOver(Self.longestAge, since: fetched) }

    private func isOver(_ interval: Duration, since time: Duration?) -> Bool {
        time.map { access.now() - $0 >= interval } ?? true
    }

    /// Waits for a first set, or for one in place of one that is too old.
    private func wait() async throws(KeySetUnavailable) {
        if attempt != nil || isOver(Self.retryInterval.without, since: lastAttempt) {
            lastSearch = access.now()
            await refresh()
        }
        guard hasKeys else { throw unavailable }
    }

    /// Looks for new keys.
    private func search(_ header: Header) async throws(KeySetUnavailable) -> [VerificationKey] {
        if let attempt {
            await attempt.value
            let found = keys.filter { $0.fits(header) }
            if !found.isEmpty { return found }
        }
        if isOver(Self.searchInterval, since: lastSearch) {
            lastSearch = access.now()
            await refresh()
        } else if let attempt {
            await attempt.value
        }
        let found = keys.filter { $0.fits(header) }
        // While the issuer is away, its new key cannot be told from one that somebody made up.
        if found.isEmpty, failure != nil { throw unavailable }
        return found
    }

    var unavailable: KeySetUnavailable {
        KeySetUnavailable(origin: endpoint.origin, reason: failure ?? "it was not fetched yet")
    }

    /// Takes the keys that another instance has, as old as they are.
    private func adopt() {
        guard fetched == nil, let last = shared.fetched, !isOver(Self.longestAge, since: last.at) else { return }
        do throws(KeySetError) {
            try read(last.document)
            fetched = last.at
        } catch {
            // It was read before, by the same code.
            logger.warning("the key set of before cannot be read", metadata: ["error": "\(error)"])
        }
    }

    // MARK: - Fetching

    private func refreshNowAndThen() async {
        while !Task.isCancelled {
            let retry = hasKeys ? Self.retryInterval.withKeys : Self.retryInterval.without
            do {
                // A little earlier each time, so that gateways that started together do not ask together.
                try await access.pause(failure == nil ? interval * Double.random(in: 0.9...1) : retry)
            } catch {
                return
            }
            await refresh()
        }
    }

    /// Joins the attempt that is under way, or makes one. It goes on when who asked is gone: others may wait for it.
    private func refresh() async {
        if attempt == nil {
            lastAttempt = access.now()
            attempt = Task { await fetch() }
        }
        await attempt?.value
    }

    private func fetch() async {
        let asked = access.now()
        do {
            let document = try await access.fetch(endpoint)
            if document != self.document || fetched == nil { try read(document) }
            fetched = asked
            shared.keep(document, fetched: asked)
            if failure != nil { logger.info("the key set is there again", metadata: ["jwks": "\(endpoint.origin)"]) }
            failure = nil
        } catch {
            failure = "\(error)"
            logger.warning(
                "the key set cannot be fetched",
                metadata: [
                    "jwks": "\(endpoint.origin)", "error": "\(error)",
                    "keys": hasKeys ? "those of before are used" : "there are none",
                ])
        }
        attempt = nil
    }

    private func read(_ document: [UInt8]) throws(KeySetError) {
        let set = try KeySet(parsing: document, algorithms: algorithms)
        keys = set.keys
        self.document = document
        let jwks = "\(endpoint.origin)"
        logger.info("the key set has changed", metadata: ["jwks": "\(jwks)", "keys": "\(set.keys.count)"])
        if set.keys.isEmpty {
            logger.warning("no key of the set can be used: no token is good", metadata: ["jwks": "\(jwks)"])
        }
        for (id, reason) in set.unusable {
            logger.info(
                "a key of the set is passed over",
                metadata: ["jwks": "\(jwks)", "kid": "\(id)", "reason": "\(reason)"])
        }
    }
}

/// Nobody can tell whether a token is good.
struct KeySetUnavailable: Error, CustomStringConvertible {
    let origin: String
    let reason: String

    var description: String { "cannot check a token: the key set of \(origin) is not to be had: \(reason)" }
}
