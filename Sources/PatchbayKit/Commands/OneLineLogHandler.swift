import Logging

/// Keeps each entry of a log on one line, and each value in its field, whatever strangers said that stands in it: no client
/// and no bot can forge another entry or another field, or talk to the terminal that shows it.
struct OneLineLogHandler<Inner: LogHandler>: LogHandler {
    private var inner: Inner

    init(_ inner: Inner) {
        self.inner = inner
    }

    var logLevel: Logger.Level {
        get { inner.logLevel }
        set { inner.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { inner.metadata }
        set { inner.metadata = newValue.mapValues(Self.oneLine) }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { inner.metadataProvider }
        set { inner.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { inner[metadataKey: key] }
        set { inner[metadataKey: key] = newValue.map(Self.oneLine) }
    }

    func log(event: LogEvent) {
        var event = event
        event.message = "\(event.message.description.oneLine())"
        if let error = event.error {
            event.metadata = (event.metadata ?? [:]).merging(["error.message": "\(error)"]) { own, _ in own }
            event.error = nil
        }
        event.metadata = event.metadata?.mapValues(Self.oneLine)
        inner.log(event: event)
    }

    private static func oneLine(_ value: Logger.Metadata.Value) -> Logger.Metadata.Value {
        let text = value.description
        // Bare, it could be taken for the next field, or for who says what.
        let isQuoted = text.unicodeScalars.contains { ["=", "[", "]", "\"", "\\"].contains($0) }
        let line = text.oneLine(isQuoted: isQuoted)
        return .string(isQuoted ? "\"\(line)\"" : line)
    }
}

extension OneLineLogHandler<StreamLogHandler> {
    /// What the commands log to.
    static func standardError(_ label: String, level: Logger.Level) -> Self {
        var handler = StreamLogHandler.standardError(label: label)
        handler.logLevel = level
        return Self(handler)
    }
}
