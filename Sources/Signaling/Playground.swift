/// The page to talk from: one file, nothing loaded from elsewhere.
package enum Playground {
    /// The page's HTML, with an embed token to start with when there is one.
    package static func page(token: String?) -> [UInt8] {
        guard let token else { return PackageResources.index_html }
        // The token goes into an attribute: only what a token is made of gets there.
        let safe = token.utf8.filter { byte in
            switch Unicode.Scalar(byte) {
            case "A"..."Z", "a"..."z", "0"..."9", "_", "-", ".": true
            default: false
            }
        }
        let (before, after) = split
        return before + safe + after
    }

    /// Where the token goes: `<html … data-token="">`.
    private static let split: ([UInt8], [UInt8]) = {
        let page = PackageResources.index_html
        let mark = Array("data-token=\"".utf8)
        guard let range = page.firstRange(of: mark) else { return (page, []) }
        return (Array(page[..<range.upperBound]), Array(page[range.upperBound...]))
    }()
}
