import ArgumentParser
import PatchbayConfig
import PatchbayPlugin

/// How a command prints what it found.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

/// `patchbay check`
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks a configuration and prints every fault in it.",
        discussion: """
            Makes each plugin instance without connecting it to anything, unless --connect is given. What \
            nobody would want is warned of: on standard error, or in the JSON, where each entry has a severity. Exits with \
            78 when there are faults, and with 70 when an instance of a configuration without faults cannot start.
            """)

    @Argument(help: "The configuration file, in place of -c.")
    var file: String?
    @OptionGroup var config: ConfigurationOption
    @Option(help: "How faults and warnings are printed: text or json.")
    var format = OutputFormat.text
    @Flag(help: "Also start every instance, stores first, and stop it again; each has 5 s.")
    var connect = false

    func validate() throws { try config.validate(beside: file) }

    func run() async throws {
        let path = file ?? config.file
        let (_, gateway) = try ConfigurationOption.load(path, asJSON: format == .json)
        if connect, let faults = await gateway.rehearse(patience: .seconds(5)) {
            ConfigurationOption.report(faults, asJSON: format == .json)
            throw ExitCode(ExitStatus.software)
        }
        let warnings = gateway.warnings()
        switch format {
        case .json: say(warnings.json.description)
        case .text:
            if !warnings.faults.isEmpty { complain("\(warnings)") }
            say(connect ? "\(path) is fine, and all of it starts" : "\(path) is fine")
        }
    }
}
