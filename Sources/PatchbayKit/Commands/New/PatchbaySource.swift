import Foundation

/// Where a new package finds Patchbay.
enum PatchbaySource: Equatable {
    /// A checkout: its path, absolute or relative to the new package.
    case checkout(path: String)
    /// A repository.
    case repository(url: String)

    /// Takes what was asked for, else the checkout that the running program was built in.
    ///
    /// - Parameters:
    ///   - wish: a path or URL.
    ///   - folder: where the package will be.
    ///   - program: the file of the running program.
    init(_ wish: String?, for folder: String, program: String = Self.program) throws(UsageFault) {
        if let wish, wish.contains("://") || wish.hasPrefix("git@") {
            self = .repository(url: wish)
            return
        }
        var place = realPath(wish ?? program)
        while wish == nil, !place.isEmpty, !Self.isCheckout(place) { place.removeLast() }
        guard Self.isCheckout(place) else {
            let what = wish.map { "'\($0)' is no checkout" } ?? "this program lies in no checkout"
            throw UsageFault("\(what) of Patchbay: name one, or the URL of its repository, with --patchbay")
        }
        if let wish, wish.hasPrefix("/") {
            self = .checkout(path: wish)
        } else {
            self = .checkout(path: relativePath(from: realPath(folder), to: place))
        }
    }

    /// The file of the running program.
    static var program: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    }

    /// How a manifest names it.
    var dependency: String {
        switch self {
        // Whatever the folder is called, products are of "patchbay".
        case .checkout(let path): #".package(name: "patchbay", path: \#(literal(path)))"#
        case .repository(let url): #".package(url: \#(literal(url)), branch: "main")"#
        }
    }

    /// How a manifest names the package that its products are of.
    var package: String {
        switch self {
        case .checkout: "patchbay"
        case .repository(let url):
            // What SwiftPM takes for the identity: the last part, without `.git`.
            url.split { $0 == "/" || $0 == ":" }.last.map { String($0.hasSuffix(".git") ? $0.dropLast(4) : $0) }
                ?? "patchbay"
        }
    }

    /// Whether the folder has Patchbay's own manifest. One that depends on it says `.package(name: "patchbay"`.
    private static func isCheckout(_ folder: [String]) -> Bool {
        guard let manifest = try? String(contentsOfFile: absolutePath(folder) + "/Package.swift", encoding: .utf8)
        else { return false }
        return manifest.contains(/\bPackage\(\s*name:\s*"patchbay"/)
    }

    private func literal(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

/// The parts of a path below `/`, without symbolic links, `.` and `..`. What does not exist is taken as it is written.
private func realPath(_ path: String) -> [String] {
    var existing = URL(fileURLWithPath: path).standardizedFileURL
    var missing: [String] = []
    while existing.pathComponents.count > 1, !existing.isThere {
        missing.insert(existing.lastPathComponent, at: 0)
        existing.deleteLastPathComponent()
    }
    return existing.resolvingSymlinksInPath().pathComponents.filter { $0 != "/" } + missing
}

private func absolutePath(_ parts: [String]) -> String {
    "/" + parts.joined(separator: "/")
}

private func relativePath(from folder: [String], to place: [String]) -> String {
    let shared = zip(folder, place).prefix { $0 == $1 }.count
    let parts = [String](repeating: "..", count: folder.count - shared) + place.dropFirst(shared)
    return parts.isEmpty ? "." : parts.joined(separator: "/")
}

extension URL {
    /// Whether there is such a file or folder.
    var isThere: Bool {
        // With a slash at its end, which Foundation puts there, a file would not be found.
        let path = path(percentEncoded: false)
        let isFolders = path.count > 1 && path.hasSuffix("/")
        return FileManager.default.fileExists(atPath: isFolders ? String(path.dropLast()) : path)
    }
}
