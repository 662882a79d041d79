/// The page to talk from: one file, nothing loaded from elsewhere.
package enum Playground {
    /// The page's HTML, with an embed token to start with when there is one.
    package static func page(token: String?) -> [UInt8] {
        // The token goes into an attribute: only what a token is made of gets there.
        let safe = (token ?? "").utf8.filter { byte in
            switch Unicode.Scalar(byte) {
            case "A"..."Z", "a"..."z", "0"..."9", "_", "-", ".", "~": true
            default: false
            }
        }
        return beforeToken + safe + afterToken
    }

    private static let page = PackageResources.index_html
    private static let tokenOffset = page.firstRange(of: Array("data-token=\"".utf8))?.upperBound ?? page.endIndex
    private static let beforeToken = Array(page[..<tokenOffset])
    private static let afterToken = Array(page[tokenOffset...])
}
