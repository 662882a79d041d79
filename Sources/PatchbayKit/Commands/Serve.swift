import ArgumentParser
import Foundation
import Logging

/// `patchbay serve`
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the gateway until SIGTERM or SIGINT.")

    @OptionGroup var config: ConfigurationOption
    @Option(help: "How much to log: trace, debug, info, notice, warning, error or critical.")
    var logLevel = LogLevel.info

    func run() async throws {
        LoggingSystem.bootstrap { [logLevel] label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = Logger.Level(rawValue: logLevel.rawValue) ?? .info
            return handler
        }
        let (_, gateway) = try config.load()
        do {
            try await gateway.run { what, url in say("\(what) is listening on \(url)") }
        } catch {
            complain("error: \(error)")
            throw ExitCode(ExitStatus.software)
        }
    }
}

/// As swift-log calls them.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}
