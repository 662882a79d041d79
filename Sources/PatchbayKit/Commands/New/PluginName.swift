import PatchbayConfig
import PatchbayPlugin

/// What a new plugin is called: a Swift type, whose module and program have the same name.
struct PluginName {
    /// Longer ones would break the lines of what is written.
    static let longest = 40

    /// In Swift: `FrontDesk`.
    let swift: String
    /// In the configuration: `front_desk`.
    let type: String
    /// Of the package: `front-desk`.
    var package: String { type.replacing("_", with: "-") }

    /// Takes a name that can be built and registered next to `plugins`.
    init(_ name: String, kind: PluginKind, among plugins: [PluginRegistration]) throws(UsageFault) {
        guard Self.isUpperCamelCase(name), name.count <= Self.longest else {
            let like = Self.camelCase(name)
            throw UsageFault(
                "'\(name)' is no name for a Swift type: write it in UpperCamelCase, with at most \(Self.longest) letters "
                    + "and digits, such as \(Self.isUpperCamelCase(like) ? like : "FrontDesk")")
        }
        guard !ReservedNames.all.contains(name) else {
            throw UsageFault("\(name) is the name of something else in the program: choose another, such as My\(name)")
        }
        (swift, type) = (name, snakeCase(name[...]))
        guard plugins.registration(kind, type) == nil else {
            throw UsageFault(
                "this build has a plugin of the type '\(type)' under \(kind.section) already: choose another name, "
                    + "such as My\(name)")
        }
    }

    private static func isUpperCamelCase(_ name: String) -> Bool {
        name.first?.isUppercase == true && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
    }

    /// `front-desk` → `FrontDesk`.
    private static func camelCase(_ name: String) -> String {
        let words = name.split { !$0.isASCII || !($0.isLetter || $0.isNumber) }
        return String(words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined().prefix(longest))
    }
}
