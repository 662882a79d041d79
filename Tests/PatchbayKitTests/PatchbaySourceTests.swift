import Foundation
import PatchbayConfig
import Testing

@testable import PatchbayKit

@Suite("patchbay new plugin: where Patchbay is")
final class PatchbaySourceTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID())")

    /// A checkout in `src/checkout`, and in it a package that depends on it.
    init() throws {
        let own = #"let package = Package(\#n    name: "patchbay", products: [])\#n"#
        let other = #"let package = Package(name: "own", dependencies: [.package(name: "patchbay", path: "..")])\#n"#
        for (place, manifest) in [("src/checkout", own), ("src/checkout/Examples/Own", other)] {
            let place = folder.appending(path: place)
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            try Data(manifest.utf8).write(to: place.appending(path: "Package.swift"))
        }
        try FileManager.default.createSymbolicLink(
            at: folder.appending(path: "link"), withDestinationURL: folder.appending(path: "src"))
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    @Test(
        "is the checkout in which the program lies, seen from the new package",
        arguments: [
            ("desk", "../src/checkout"), ("src/desk", "../checkout"), ("src/checkout/desk", ".."),
            ("a/b/c/../desk", "../../../src/checkout"),
            ("link/desk", "../checkout"),
        ])
    func checkout(place: String, relative: String) throws {
        let program = path("src/checkout/Examples/Own/.build/debug/Own")
        let source = try PatchbaySource(nil, for: path(place), program: program)
        #expect(source == .checkout(path: relative))
        #expect(source.dependency == #".package(name: "patchbay", path: "\#(relative)")"#)
    }

    @Test("must be named where the program lies elsewhere")
    func nowhere() {
        let fault = #expect(throws: UsageFault.self) {
            try PatchbaySource(nil, for: path("desk"), program: path("elsewhere/Own"))
        }
        #expect(fault?.description.contains("--patchbay") == true)
    }

    @Test("can be named by its path")
    func named() throws {
        let checkout = path("src/checkout")
        #expect(try PatchbaySource(checkout, for: path("desk")) == .checkout(path: checkout))
        for wrong in ["src", "src/checkout/Examples/Own", "nowhere"] {
            #expect(throws: UsageFault.self) { try PatchbaySource(path(wrong), for: path("desk")) }
        }
    }

    @Test(
        "can be named by its URL",
        arguments: [
            ("https://git.example.org/voice/patchbay.git", "patchbay"),
            ("git@example.org:voice/gateway.git", "gateway"),
            ("ssh://git@example.org/patchbay/", "patchbay"),
        ])
    func repository(url: String, package: String) throws {
        let source = try PatchbaySource(url, for: "desk")
        #expect(source == .repository(url: url) && source.package == package)
        let name = try PluginName("FrontDesk", kind: .auth, among: [])
        let manifest = try #require(PluginPackage(kind: .auth, name: name, source: source).files.first?.text)
        #expect(manifest.contains(#".package(url: "\#(url)", branch: "main")"#) && !manifest.contains("path:"))
        #expect(manifest.components(separatedBy: #"package: "\#(package)""#).count == 5)
    }

    private func path(_ name: String) -> String {
        folder.appending(path: name).path(percentEncoded: false)
    }
}
