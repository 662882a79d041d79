/// The script with which a page of anybody's has a call button: one file to the page, in parts here.
package enum EmbedScript {
    /// The parts, in a function of their own: a page has nothing of them but `window.Patchbay`.
    package static let text: [UInt8] =
        Array("(() => {\n\"use strict\";\n".utf8) + PackageResources.words_js + PackageResources.style_js
        + PackageResources.call_js + PackageResources.view_js + PackageResources.widget_js
        + PackageResources.patchbay_js + Array("})();\n".utf8)

    /// Another for another text (RFC 9110 §8.8.3): FNV-1a of 64 bits.
    package static let entityTag: String = {
        let hash = text.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "\"\(String(hash, radix: 16))\""
    }()
}
