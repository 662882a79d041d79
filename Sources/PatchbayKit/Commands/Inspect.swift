import ArgumentParser
import Foundation
import PatchbayConfig

/// `patchbay plugins`
struct Plugins: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the plugins of this build, or one plugin's settings.")

    @Argument(help: "A plugin's type, as in the configuration.")
    var type: String?
    @Option(help: "Write the reference of all settings into this folder, as Markdown, a page for each kind of plugin.")
    var markdown: String?

    func validate() throws {
        if type != nil, markdown != nil { throw ValidationError("--markdown writes about all plugins; leave TYPE out") }
    }

    func run() throws {
        let plugins = Patchbay.registered
        if let markdown {
            try write(referencePages(plugins.catalogue), into: markdown)
        } else if let type {
            let matching = plugins.filter { $0.description.type == type }
            guard !matching.isEmpty else {
                complain("no plugin of this build is called '\(type)'; `patchbay plugins` lists them")
                throw ExitCode(ExitStatus.usage)
            }
            say(matching.map { describe($0.description, kind: $0.kind) }.joined(separator: "\n\n"))
        } else {
            let width = plugins.map(\.description.type.count).max() ?? 0
            for kind in PluginKind.allCases {
                let ofKind = plugins.filter { $0.kind == kind }
                guard !ofKind.isEmpty else { continue }
                say("\(kind.section):")
                for plugin in ofKind.sorted(by: { $0.description.type < $1.description.type }) {
                    let type = plugin.description.type
                    say("  \(type)\(String(repeating: " ", count: width - type.count))  \(plugin.description.summary)")
                }
            }
        }
    }

    private func write(_ pages: [String: String], into folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for (name, text) in pages.sorted(by: { $0.key < $1.key }) {
                let path = "\(folder)/\(name)"
                try Data(text.utf8).write(to: URL(filePath: path))
                say(path)
            }
        } catch {
            complain("error: cannot write the reference into '\(folder)': \(error.localizedDescription)")
            throw ExitCode(ExitStatus.software)
        }
    }
}

/// `patchbay schema`
struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the JSON Schema of the configuration, for editors.")

    @Flag(help: "That of a tenant's own file, in the folder that `tenants_dir` names.")
    var tenant = false
    @Flag(help: "That of a file of tests, for `patchbay test`.")
    var tests = false

    func validate() throws {
        if tenant, tests { throw ValidationError("--tenant and --tests are two files") }
    }

    func run() throws {
        say(schema(Patchbay.registered.catalogue, of: tenant ? .tenant : tests ? .tests : .whole))
    }
}
