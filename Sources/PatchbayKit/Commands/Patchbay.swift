public import ArgumentParser
import Foundation
import Glibc
import Logging
import PatchbayConfig
import PatchbayPlugin

/// The program: `Patchbay.main(plugins:)` in a `main.swift` makes a gateway of Patchbay and your plugins.
public struct Patchbay: AsyncParsableCommand {
    /// What the parser shows.
    public static let configuration = CommandConfiguration(
        commandName: "patchbay",
        abstract: "A WebRTC media gateway for voice AI.",
        version: version,
        subcommands: [
            Serve.self, Check.self, TestCommand.self, Plugins.self, Schema.self, Token.self, Run.self,
            CallCommand.self, New.self,
        ])

    /// Of this build.
    public static let version = "0.1.0"

    /// Makes the command, which the parser does.
    public init() {}

    /// Runs the command line, and exits: 0, 1 a test that failed, 64 usage, 70 a failure, 78 a faulty configuration.
    public static func main(plugins: [PluginRegistration]) async -> Never {
        if let fault = plugins.programFault {
            complain("error: \(fault)")
            Glibc.exit(ExitStatus.software)
        }
        await $registered.withValue(plugins) {
            await main(nil)
        }
        Glibc.exit(0)
    }

    /// The plugins of this program, for its commands.
    @TaskLocal static var registered: [PluginRegistration] = []
}

/// sysexits.h
enum ExitStatus {
    static let usage: Int32 = 64
    static let software: Int32 = 70
    static let configuration: Int32 = 78
}

/// A sentence on standard error.
func complain(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}

/// Text on standard output, at once: a program may be waiting for it at the other end of a pipe.
func say(_ text: String) {
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
}

/// `-c FILE`, and what is in it.
struct ConfigurationOption: ParsableArguments {
    @Option(
        name: [.customShort("c"), .customLong("config")], help: "The configuration file; config.yaml unless it is said."
    )
    var named: String?

    var file: String { named ?? "config.yaml" }

    /// Refuses two configurations.
    ///
    /// - Parameter argument: the file that a command names without the option.
    func validate(beside argument: String?) throws {
        if let argument, let named {
            throw ValidationError("there is one configuration: say \(argument), or -c \(named)")
        }
    }

    /// The checked configuration and its instances, or the end of the program with every fault printed.
    func load(asJSON: Bool = false) throws -> (GatewayConfiguration, Gateway) {
        try Self.load(file, asJSON: asJSON)
    }

    /// Likewise, of a file.
    static func load(
        _ file: String, asJSON: Bool = false,
        logger: Logger = Logger(label: "patchbay") { OneLineLogHandler.standardError($0, level: .info) }
    ) throws -> (GatewayConfiguration, Gateway) {
        do throws(Faults) {
            let plugins = Patchbay.registered
            let configuration = try read(file, plugins)
            return (configuration, try Gateway(configuration, plugins: plugins, logger: logger))
        } catch {
            report(error, asJSON: asJSON)
            throw ExitCode(ExitStatus.configuration)
        }
    }

    /// Prints every fault: on standard error, or as JSON on standard output.
    static func report(_ faults: Faults, asJSON: Bool) {
        if asJSON {
            say(faults.json.description)
        } else {
            let count = faults.faults.count
            complain("\(faults)\n\(count == 1 ? "1 fault" : "\(count) faults")")
        }
    }

    /// The checked configuration, as the file is now.
    static func read(_ file: String, _ plugins: [PluginRegistration]) throws(Faults) -> GatewayConfiguration {
        try GatewayConfiguration.load(
            file: file, environment: ProcessInfo.processInfo.environment, catalogue: plugins.catalogue,
            inspect: plugins.inspect)
    }
}
