import Logging
import Synchronization
import TestSupport

/// The last line of each message, and how many there were.
struct RecordedLog: LogHandler {
    final class Lines: Sendable {
        let byMessage = Mutex<[String: Logger.Metadata]>([:])
        let counts = Mutex<[String: Int]>([:])
    }

    let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var watched = WatchedLog()
        watched.metadata = metadata
        watched.log(event: event)
        let metadata = metadata.merging(event.metadata ?? [:]) { _, new in new }
        lines.byMessage.withLock { $0["\(event.message)"] = metadata }
        lines.counts.withLock { $0["\(event.message)", default: 0] += 1 }
    }
}
