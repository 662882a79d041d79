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
            The tests are those under `tests` in the configuration, and in the files that are named. One of these that \
            has `version`, `tenants` or `tenants_dir` at its top is the configuration itself, and no other is read. No \
            socket is opened, and nothing is written to a store; auth instances and stores are started where a test \
            needs them. Exits with 0 when all is as it should be, with 1 when something is not, and with 78 when there are faults.
            """)

    @OptionGroup var config: ConfigurationOption
    @Argument(
        help: "The configuration file, in place of -c, and files with more tests, in a list under the key `tests`.")
    var files: [String] = []
    @Option(help: "How the results are printed: text or json.")
    var format = OutputFormat.text

    func run() async throws {
        // What plugins say about their tests is no result.
        let logger = Logger(label: "patchbay") { OneLineLogHandler.standardError($0, level: .warning) }
        let plugins = Patchbay.registered
        let (configurationFile, moreTests) = try read()
        var runner: CaseRunner
        do throws(Faults) {
            let environment = ProcessInfo.processInfo.environment
            let configuration = try GatewayConfiguration.load(
                configurationFile, tests: moreTests, environment: environment, catalogue: plugins.catalogue,
                inspect: plugins.inspect)
            runner = try CaseRunner(
                configuration, plugins: plugins, environment: environment, logger: logger,
                wallClock: { .seconds(Date().timeIntervalSince1970) })
        } catch {
            ConfigurationOption.report(error, asJSON: format == .json)
            throw ExitCode(ExitStatus.configuration)
        }
        let tests = runner.configuration.tests
        guard !tests.isEmpty else {
            complain("there is nothing to try: \(configurationFile.file) has no `tests`, and no other file was named")
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

    /// The configuration, and files with more tests.
    private func read() throws -> (configuration: ConfigurationText, tests: [ConfigurationText]) {
        var configurations: [ConfigurationText] = []
        var tests: [ConfigurationText] = []
        for file in files.map(ConfigurationText.init(reading:)) {
            if file.isConfiguration { configurations.append(file) } else { tests.append(file) }
        }
        let names = configurations.map(\.file) + [config.named.map { "-c \($0)" }].compactMap(\.self)
        guard names.count <= 1 else {
            complain("error: there is one configuration: say \(names.joined(separator: ", or "))")
            throw ExitCode(ExitStatus.usage)
        }
        return (configurations.first ?? ConfigurationText(reading: config.file), tests)
    }
}
