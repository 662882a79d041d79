import Foundation
import PatchbayConfig

/// A package with a plugin in it, made of the files in `Templates`. There the plugin is called `MyPlugin`.
struct PluginPackage {
    let kind: PluginKind
    let name: PluginName
    let source: PatchbaySource

    /// Each file's place in the package, and what stands in it.
    var files: [(path: String, text: String)] {
        let name = name.swift
        return [
            ("Package.swift", manifest),
            ("Sources/\(name)/\(name).swift", filled(kind.templates.plugin)),
            ("Sources/\(name)/main.swift", program),
            ("Tests/\(name)Tests/\(name)Tests.swift", filled(kind.templates.tests)),
            ("config.yaml", filled(kind.templates.configuration)),
            ("README.md", readme),
            (".gitignore", filled(PackageResources.gitignore)),
        ]
    }

    /// What to type next, to test and to run it.
    func commands(in folder: String) -> [String] {
        let place = shellWord(folder)
        return [
            "swift test --package-path \(place)",
            "\(kind.environment)swift run --package-path \(place) \(name.swift) serve -c \(shellWord(folder + "/config.yaml"))",
        ]
    }

    /// Writes all of it, or nothing.
    ///
    /// - Throws: a ``UsageFault`` where something is there already; what the file system has against it.
    func write(to folder: String) throws {
        let system = FileManager.default
        let place = URL(fileURLWithPath: folder, isDirectory: true)
        guard !place.isThere || (try? system.contentsOfDirectory(atPath: folder))?.isEmpty == true else {
            throw UsageFault("'\(folder)' is there already, and not an empty folder: choose another with --directory")
        }
        let firstNew = Self.firstMissing(place)
        do {
            for file in files {
                let path = place.appending(path: file.path)
                try system.createDirectory(at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: path)
            }
        } catch {
            let new =
                firstNew.map { [$0] } ?? (try? system.contentsOfDirectory(at: place, includingPropertiesForKeys: nil))
            for each in new ?? [] { try? system.removeItem(at: each) }
            throw error
        }
    }

    /// The outermost folder of a path that does not exist; nil when all do.
    private static func firstMissing(_ place: URL) -> URL? {
        var (missing, next): (URL?, URL) = (nil, place.standardizedFileURL)
        while next.pathComponents.count > 1, !next.isThere {
            (missing, next) = (next, next.deletingLastPathComponent())
        }
        return missing
    }

    private var manifest: String {
        filled(PackageResources.Manifest_swift)
            .replacing(#"package: "patchbay""#, with: #"package: "\#(source.package)""#)
            .replacing(PatchbaySource.checkout(path: "../patchbay").dependency, with: source.dependency)
    }

    private var program: String {
        filled(PackageResources.Program_swift).replacing(".kind(", with: ".\(kind.registration)(")
    }

    private var readme: String {
        filled(PackageResources.README_md)
            .replacing("{{environment}}", with: kind.environment)
            .replacing("{{trial}}", with: filled(kind.trial))
    }

    private func filled(_ template: [UInt8]) -> String {
        filled(String(decoding: template, as: UTF8.self))
    }

    private func filled(_ template: String) -> String {
        template.replacing("MyPlugin", with: name.swift).replacing("my_plugin", with: name.type)
            .replacing("my-plugin", with: name.package)
    }
}

/// The text as one word of a shell's.
private func shellWord(_ text: String) -> String {
    let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+".contains($0)) }
    return isPlain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
}
