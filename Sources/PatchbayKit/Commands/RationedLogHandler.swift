import Logging

/// Writes a warning or an error only so many times a second for each tenant, plugin instance and call: while a store or an
/// issuer is away, each of a stranger's requests is one more, and a full disk would be the next thing to fail.
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
        guard [.warning, .error].contains(event.level) else { return inner.log(event: event) }
        let whose = [inner.metadata["call"], inner.metadata["plugin"], event.metadata?["tenant"]]
        let key = ([event.message.description] + whose.map { $0?.description ?? "" }).joined(separator: "\n")
        guard let leftOut = budget.admit(key, now: now()) else { return }
        if leftOut > 0 {
            var line = event
            (line.message, line.metadata) = ("warnings and errors without a line of their own", ["count": "\(leftOut)"])
            inner.log(event: line)
        }
        inner.log(event: event)
    }
}
