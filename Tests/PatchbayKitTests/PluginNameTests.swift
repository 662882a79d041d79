import Foundation
import PatchbayBuiltin
import PatchbayConfig
import Testing

@testable import PatchbayKit

@Suite("patchbay new plugin: its name")
struct PluginNameTests {
    @Test("a name has a spelling for Swift, one for the configuration and one for the package")
    func spellings() throws {
        let name = try PluginName("FrontDesk", kind: .pipeline, among: .builtin)
        #expect((name.swift, name.type, name.package) == ("FrontDesk", "front_desk", "front-desk"))
        #expect(try PluginName("VADGate2", kind: .auth, among: []).type == "vad_gate2")
    }

    @Test(
        "what is no Swift type's name is refused, and a better one told",
        arguments: [
            ("frontDesk", "FrontDesk"), ("front-desk", "FrontDesk"), ("front desk", "FrontDesk"),
            ("Front_Desk", "FrontDesk"), ("../Desk", "Desk"), ("", "FrontDesk"), ("2Desks", "FrontDesk"),
            ("Café", "Caf"), (String(repeating: "A", count: 41), String(repeating: "A", count: 40)),
        ])
    func noNames(name: String, better: String) {
        let fault = #expect(throws: UsageFault.self) { try PluginName(name, kind: .store, among: []) }
        #expect(fault?.description.hasSuffix("such as \(better)") == true)
    }

    @Test("a type that the build has is refused within its kind only")
    func taken() throws {
        let fault = #expect(throws: UsageFault.self) { try PluginName("Echo", kind: .pipeline, among: .builtin) }
        #expect(fault?.description.contains("'echo'") == true)
        #expect(throws: UsageFault.self) { try PluginName("Sqlite", kind: .store, among: .builtin) }
        #expect(throws: Never.self) { try PluginName("Echo", kind: .quota, among: .builtin) }
    }

    @Test(
        "names of the language, of Patchbay and of the modules it is built with are refused",
        arguments: [
            "Self", "Type", "Any", "String", "Swift", "Foundation", "Testing", "Patchbay", "PatchbayKit",
            "PatchbayPlugin",
            "Plugin", "Call", "MemoryStore", "Wire", "Logging", "NIOCore",
        ])
    func reserved(name: String) {
        #expect(throws: UsageFault.self) { try PluginName(name, kind: .auth, among: []) }
    }

    @Test("so is every public name that plugins see")
    func publicNames() throws {
        let sources = Self.root.appending(path: "Sources/PatchbayPlugin")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        let declaration = /^(?:@\w+ )?public (?:final |indirect )?(?:struct|class|enum|protocol|actor|typealias) (\w+)/
        var names: Set<String> = []
        for case let file as URL in files where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            names.formUnion(text.matches(of: declaration.anchorsMatchLineEndings()).map { String($0.1) })
        }
        #expect(names.count > 50)
        #expect(names.subtracting(ReservedNames.all) == [])
    }

    @Test("so is every module of this build", .enabled(if: FileManager.default.fileExists(atPath: modules)))
    func moduleNames() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.modules)
        let names = Set(files.map { String($0.prefix { $0 != "." }) })
        let possible = names.filter { $0.first?.isUppercase == true && !$0.contains("_") && !$0.hasSuffix("Tests") }
        #expect(possible.contains("NIOCore"))
        // A package that depends on Patchbay does not have its tests; and `script/test example` builds others here.
        let elsewhere: Set = ["Simulation", "OwnGateway", "Repeater", "Doorman", "FairShare", "UDPOnly", "Shelf"]
        #expect(possible.subtracting(ReservedNames.all).isSubset(of: elsewhere))
    }

    @Test("so is every type that stands in what is written")
    func templateNames() {
        let texts = PluginKind.allCases.flatMap { [$0.templates.plugin, $0.templates.tests] }
            .map { String(decoding: $0, as: UTF8.self) }
        for text in texts {
            let code = text.replacing(/"[^"]*"|\/\/.*/, with: "")
            let names = Set(code.matches(of: /\b[A-Z]\w*/).map { String($0.0) })
            #expect(names.subtracting(ReservedNames.all).isSubset(of: ["MyPlugin", "MyPluginTests"]))
        }
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    /// Where the compiler leaves them, beside this program.
    private static let modules = URL(filePath: PatchbaySource.program).deletingLastPathComponent()
        .appending(path: "Modules").path(percentEncoded: false)
}
