import ArgumentParser
import Foundation
import Glibc
import Logging
import PatchbayConfig

/// `patchbay serve`
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the gateway until SIGTERM or SIGINT.")

    @Argument(help: "The configuration file, in place of -c.")
    var file: String?
    @OptionGroup var config: ConfigurationOption
    @Option(help: "How much to log: trace, debug, info, notice, warning, error or critical.")
    var logLevel = LogLevel.info

    func validate() throws { try config.validate(beside: file) }

    func run() async throws {
        let path = file ?? config.file
        let level = Logger.Level(rawValue: logLevel.rawValue) ?? .info
        // Others make loggers, too.
        LoggingSystem.bootstrap { [budget = LogBudget(), start = ContinuousClock.now] label in
            RationedLogHandler(OneLineLogHandler.standardError(label, level: level), budget: budget) {
                ContinuousClock.now - start
            }
        }
        let (_, gateway) = try ConfigurationOption.load(path, logger: Logger(label: "patchbay"))
        Self.raiseFileLimit()
        do {
            let plugins = Patchbay.registered
            try await gateway.run(
                load: { () throws(Faults) in try ConfigurationOption.read(path, plugins) }
            ) { what, url in
                say("\(what) is listening on \(url)")
            }
        } catch {
            complain("error: \(error)")
            throw ExitCode(ExitStatus.software)
        }
    }

    /// To what the system allows: what it gives to begin with is meant for programs that use `select`.
    private static func raiseFileLimit() {
        var files = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 else { return }
        files.rlim_cur = files.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    }
}

/// As swift-log calls them.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}
