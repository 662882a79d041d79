package import Logging

/// A log that nobody reads, and that may have no secret in it: at the first line with one the tests end.
package struct WatchedLog: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel = Logger.Level.trace

    package init() {}

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let names = Leaks.found(in: line(of: event)).sorted()
        if names.isEmpty { return }
        // Not what it is: what tests say is kept, too.
        fatalError("\(event.file):\(event.line) has written \(names.joined(separator: ", ")) into the log")
    }

    /// All that a log would have of an event.
    package func line(of event: LogEvent) -> String {
        let metadata = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let error = event.error.map { ["\($0)"] } ?? []
        return (["\(event.message)"] + error + Self.texts(.dictionary(metadata))).joined(separator: " ")
    }

    private static func texts(_ value: Logger.Metadata.Value) -> [String] {
        switch value {
        case .string(let text): [text]
        case .stringConvertible(let value): [value.description]
        case .array(let values): values.flatMap { texts($0) }
        case .dictionary(let members): members.flatMap { [$0.key] + texts($0.value) }
        }
    }
}

extension Logger {
    /// Logs everything into a ``WatchedLog``.
    package static let watched = Logger(label: "test") { _ in WatchedLog() }
}
