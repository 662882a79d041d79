internal import PatchbayPlugin

/// Why a token is not good, for the operator. The caller hears nothing of it, or could try what is believed here.
struct BadToken: Error, CustomStringConvertible {
    /// The most that is shown of what a token says, in characters of Unicode.
    static let longest = 64

    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// Text that is no token.
    static func unreadable(_ text: String) -> BadToken {
        guard text.utf8.count <= CompactToken.longest else {
            return BadToken("longer than \(CompactToken.longest) bytes")
        }
        let parts = text.utf8.count { $0 == UInt8(ascii: ".") } + 1
        return BadToken(
            parts == 3
                ? "its parts are not those of a JWT, or its header asks for what is not done here"
                : "a JWT has three parts, and this has \(parts)")
    }

    /// A claim that is there, or is not, and does not say what it must.
    static func claim(_ name: String, _ value: JSONValue?, _ objection: String) -> BadToken {
        guard let value else { return BadToken("no '\(name)'") }
        let text =
            switch value {
            case .string(let text): text
            case .array, .null, .bool, .integer, .number, .object: value.description
            }
        return BadToken("'\(name)' is \(cut(text)), \(objection)")
    }

    static func cut(_ text: String) -> String {
        text.unicodeScalars.count > longest ? String(text.unicodeScalars.prefix(longest)) + "…" : text
    }

    /// Whole seconds, as many as a number may say.
    static func seconds(_ seconds: Double) -> String {
        "\(Int(min(max(seconds, 0), 1e12).rounded(.up))) s"
    }
}
