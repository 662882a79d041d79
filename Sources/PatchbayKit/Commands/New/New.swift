import ArgumentParser
import Foundation
import PatchbayConfig

/// `patchbay new`
struct New: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Begins something of your own.", subcommands: [NewPlugin.self])
}

/// `patchbay new plugin`
struct NewPlugin: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plugin",
        abstract: "Writes a package with a plugin of your own, and the gateway that has it.",
        discussion: """
            What it writes can be built, tested and called as it is: a small plugin of that kind, its tests, a \
            configuration and a program with the plugins that come with Patchbay and yours. NAME becomes the Swift type, \
            such as FrontDesk, and in a configuration the type front_desk.
            """)

    @Argument(help: "pipeline, auth, quota, ice_policy or store.", transform: PluginKind.init(argument:))
    var kind: PluginKind
    @Argument(help: "The plugin's name, in UpperCamelCase.")
    var name: String
    @Option(help: "The folder to write it into; by default one of the plugin's name, here.")
    var directory: String?
    @Option(help: "A checkout of Patchbay, or its repository's URL; by default the checkout this program was built in.")
    var patchbay: String?

    func validate() throws {
        guard directory != "", patchbay != "" else {
            throw ValidationError("--directory and --patchbay are followed by a path")
        }
    }

    func run() throws {
        let folder = directory.map { $0.count > 1 && $0.hasSuffix("/") ? String($0.dropLast()) : $0 } ?? name
        do {
            let package = PluginPackage(
                kind: kind, name: try PluginName(name, kind: kind, among: Patchbay.registered),
                source: try PatchbaySource(patchbay, for: folder))
            try package.write(to: folder)
            say(package.files.map { "\(folder)/\($0.path)" }.joined(separator: "\n"))
            say("\nTest and run it:\n" + package.commands(in: folder).map { "  " + $0 }.joined(separator: "\n"))
        } catch let fault as UsageFault {
            complain("error: \(fault)")
            throw ExitCode(ExitStatus.usage)
        } catch {
            complain("error: \(folder) could not be written: \(error.localizedDescription)")
            throw ExitCode(ExitStatus.software)
        }
    }
}

/// What is wrong with a command line, and what to write instead.
struct UsageFault: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
