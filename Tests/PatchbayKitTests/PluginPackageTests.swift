import Foundation
import PatchbayBuiltin
import PatchbayConfig
import Testing

@testable import PatchbayKit

@Suite("patchbay new plugin: what it writes")
final class PluginPackageTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay new \(UUID())")
    private let system = FileManager.default

    deinit {
        try? system.removeItem(at: folder)
    }

    @Test("a package with a plugin, its tests, a program and a configuration", arguments: PluginKind.allCases)
    func files(kind: PluginKind) throws {
        let place = path("my/desk")
        let package = try package(kind)
        try package.write(to: place)
        let written = try #require(system.enumerator(atPath: place)).compactMap { $0 as? String }
        let expected = [
            "Package.swift", "Sources/FrontDesk/FrontDesk.swift", "Sources/FrontDesk/main.swift",
            "Tests/FrontDeskTests/FrontDeskTests.swift", "config.yaml", "README.md", ".gitignore",
        ]
        #expect(package.files.map(\.path) == expected)
        #expect(Set(written.filter { !isFolder("\(place)/\($0)") }) == Set(expected))
        for file in expected {
            let text = try String(contentsOfFile: "\(place)/\(file)", encoding: .utf8)
            #expect(!text.contains(/(?i)my.?plugin/) && !text.contains("{{") && text.hasSuffix("\n"), "\(file)")
        }
        let plugin = try String(contentsOfFile: "\(place)/\(expected[1])", encoding: .utf8)
        #expect(plugin.contains(#"static let type = "front_desk""#))
        #expect(try String(contentsOfFile: "\(place)/config.yaml", encoding: .utf8).contains("type: front_desk"))
    }

    @Test("the program is four lines, and registers the plugin as what it is")
    func program() throws {
        for (kind, function) in zip(PluginKind.allCases, ["store", "auth", "quota", "pipeline", "icePolicy"]) {
            let program = try #require(try package(kind).files.first { $0.path.hasSuffix("main.swift") })
            #expect(
                program.text == """
                    import PatchbayBuiltin
                    import PatchbayKit

                    await Patchbay.main(plugins: .builtin + [.\(function)(FrontDesk.self)])

                    """)
        }
    }

    @Test(
        "the configuration has one fault at most: that this build does not have the plugin",
        arguments: PluginKind.allCases)
    func configuration(kind: PluginKind) throws {
        let text = try #require(try package(kind).files.first { $0.path == "config.yaml" }?.text)
        let faults = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(
                text: text, environment: [:], catalogue: [PluginRegistration].builtin.catalogue)
        }
        #expect(faults?.faults.map(\.message).filter { !$0.contains("'front_desk'") } == [])
    }

    @Test("an empty folder is filled; anything else is left as it is")
    func overwriting() throws {
        try system.createDirectory(at: folder, withIntermediateDirectories: true)
        let (empty, full, file) = (path("empty"), path("full"), path("file"))
        try system.createDirectory(atPath: empty, withIntermediateDirectories: false)
        try system.createDirectory(atPath: full, withIntermediateDirectories: false)
        for each in [file, full + "/.hidden"] { try Data("mine".utf8).write(to: URL(filePath: each)) }
        try package().write(to: empty)
        #expect(system.fileExists(atPath: empty + "/Package.swift"))
        for place in [full, file, empty] {
            let fault = #expect(throws: UsageFault.self) { try package().write(to: place) }
            #expect(fault?.description.contains("--directory") == true)
        }
        #expect(try system.contentsOfDirectory(atPath: full) == [".hidden"])
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "mine")
    }

    @Test("where it cannot write everything it leaves nothing")
    func failing() throws {
        try system.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data().write(to: folder.appending(path: "file"))
        #expect(throws: (any Error).self) { try package().write(to: path("file/below/it")) }
        // The outer folder can be made. The name of the inner one is too long.
        let long = path(String(repeating: "n", count: 200) + "/" + String(repeating: "n", count: 300))
        #expect(throws: (any Error).self) { try package().write(to: long) }
        #expect(try system.contentsOfDirectory(atPath: folder.path(percentEncoded: false)) == ["file"])
    }

    @Test("what to type next is fit for a shell")
    func commands() throws {
        #expect(
            try package(.auth).commands(in: "it's") == [
                #"swift test --package-path 'it'\''s'"#,
                #"PASSPHRASE=open-sesame swift run --package-path 'it'\''s' FrontDesk serve -c 'it'\''s/config.yaml'"#,
            ])
        #expect(
            try package(.pipeline).commands(in: "../desk").last
                == "swift run --package-path ../desk FrontDesk serve -c ../desk/config.yaml")
    }

    @Test("kinds are called as in the command's help, or as in the configuration")
    func kinds() throws {
        for (kind, words) in [
            PluginKind.pipeline: ["pipeline", "pipelines"], .auth: ["auth"], .quota: ["quota", "quotas"],
            .icePolicy: ["ice_policy", "ice-policy", "ice_policies", "ice-policies"], .store: ["store", "stores"],
        ] {
            for word in words { #expect(try PluginKind(argument: word) == kind) }
        }
        #expect(throws: (any Error).self) { try PluginKind(argument: "bot") }
    }

    private func package(
        _ kind: PluginKind = .pipeline, source: PatchbaySource = .checkout(path: "../patchbay")
    ) throws -> PluginPackage {
        PluginPackage(kind: kind, name: try PluginName("FrontDesk", kind: kind, among: .builtin), source: source)
    }

    private func path(_ name: String) -> String {
        folder.appending(path: name).path(percentEncoded: false)
    }

    private func isFolder(_ path: String) -> Bool {
        (try? system.contentsOfDirectory(atPath: path)) != nil
    }
}
