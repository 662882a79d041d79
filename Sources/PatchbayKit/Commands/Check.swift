import ArgumentParser
import PatchbayConfig

/// How a command prints what it found.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

/// `patchbay check`
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks a configuration and prints every fault in it.",
        discussion: """
            Makes each plugin instance without connecting it to anything, unless --connect is given. Exits with 78 when \
            there are faults, and with 70 when an instance of a configuration without faults cannot start.
            """)

    @OptionGroup var config: ConfigurationOption
    @Option(help: "How faults are printed: text or json.")
    var format = OutputFormat.text
    @Flag(help: "Also start every instance, stores first, and stop it again; each has 5 s.")
    var connect = false

    func run() async throws {
        let (_, gateway) = try config.load(asJSON: format == .json)
        if connect, let faults = await gateway.rehearse(patience: .seconds(5)) {
            ConfigurationOption.report(faults, asJSON: format == .json)
            throw ExitCode(ExitStatus.software)
        }
        switch format {
        case .json: say("[]")
        case .text: say(connect ? "\(config.file) is fine, and all of it starts" : "\(config.file) is fine")
        }
    }
}
