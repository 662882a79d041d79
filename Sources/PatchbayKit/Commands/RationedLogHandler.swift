import Logging

/// Writes one warning or error of a tenant, a plugin instance or a call only so many times a second: while a store or an issuer is
/// away, each of a stranger's requests is one more, and a full disk would be the next thing to fail.
struct RationedLogHandler<Inner: LogHandler>: LogHandler {
    private var inner: Inner
    private let budget: LogBudget
    private let now: @Sendable () -> Duration

    /// - Parameters:
    ///   - budget: shared by the handlers of one log.
    ///   - now: on any clock that goes forward.
    init(_ inner: Inner, budget: LogBudget, now: @escaping @Sendable () -> Duration) {
        (self.inner, self.budget, self.now) = (inner, budget, now)
    }

    var logLevel: Logger.Level {
        get { inner.logLevel }
        set { inner.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { inner.metadata }
        set { inner.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { inner.metadataProvider }
        set { inner.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { inner[metadataKey: key] }
        set { inner[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        let whose = [inner.metadata["call"], inner.metadata["plugin"], event.metadata?["tenant"]]
        // What is nobody's the gateway says by itself: of its configuration, at its start.
        guard [.warning, .error].contains(event.level), whose.contains(where: { $0 != nil }) else {
            return inner.log(event: event)
        }
        let key = ([event.message.description] + whose.map { $0?.description ?? "" }).joined(separator: "\n")
        guard let leftOut = budget.admit(key, now: now()) else { return }
        if leftOut > 0 {
            var (line, all) = (event, inner)
            (line.message, line.metadata) = ("warnings and errors without a line of their own", ["count": "\(leftOut)"])
            (line.error, all.metadata) = (nil, [:])
            all.log(event: line)
        }
        inner.log(event: event)
    }
}
