import ArgumentParser
import Foundation
import Logging
import PatchbayConfig
import PatchbayPlugin

/// `patchbay test`
struct TestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Tries what becomes of callers and candidates, and says where it is not what it should be.",
        discussion: """
            The tests are those under `tests` in the configuration, and in the files that are named. No socket is \
            opened, and nothing is written to a store; auth instances and stores are started where a test needs them. \
            Exits with 0 when all is as it should be, with 1 when something is not, and with 78 when there are faults.
            """)

    @OptionGroup var config: ConfigurationOption
    @Argument(help: "Files with more tests, in a list under the key `tests`.")
    var files: [String] = []
    @Option(help: "How the results are printed: text or json.")
    var format = OutputFormat.text

    func run() async throws {
        // What plugins say about their tests is no result.
        let logger = Logger(label: "patchbay") { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .warning
            return OneLineLogHandler(handler)
        }
        let plugins = Patchbay.registered
        var runner: CaseRunner
        do throws(Faults) {
            let environment = ProcessInfo.processInfo.environment
            let configuration = try GatewayConfiguration.load(
                file: config.file, tests: files, environment: environment, catalogue: plugins.catalogue)
            runner = try CaseRunner(
                configuration, plugins: plugins, environment: environment, logger: logger,
                wallClock: { .seconds(Date().timeIntervalSince1970) })
        } catch {
            ConfigurationOption.report(error, asJSON: format == .json)
            throw ExitCode(ExitStatus.configuration)
        }
        let tests = runner.configuration.tests
        guard !tests.isEmpty else {
            complain("there is nothing to try: \(config.file) has no `tests`, and no other file was named")
            throw ExitCode(ExitStatus.usage)
        }
        var reports: [CaseReport] = []
        for test in tests {
            let report = await runner.run(test)
            if format == .text { say("\(report)") }
            reports.append(report)
        }
        await runner.stop()
        let failed = reports.count { !$0.isGood }
        switch format {
        case .json: say(JSONValue.array(reports.map(\.json)).description)
        case .text: say("\(tests.count) test\(tests.count == 1 ? "" : "s"), \(failed) failed")
        }
        if failed > 0 { throw ExitCode(1) }
    }
}
