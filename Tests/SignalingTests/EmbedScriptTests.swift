import Signaling
import Testing

@Suite("The script of embed pages")
struct EmbedScriptTests {
    private let text = String(decoding: EmbedScript.text, as: UTF8.self)

    @Test("is whole, and keeps what it has to itself")
    func isOneFunction() {
        #expect(text.hasPrefix("(() => {\n\"use strict\";\n"))
        #expect(text.hasSuffix("})();\n"))
        for part in [
            "function wordsOf", "function styleSheet", "class Call", "class View", "class Widget", "window.Patchbay",
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test(
        "loads nothing, makes nothing of text but text, and keeps nothing",
        arguments: [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function(",
            "import(",
            "@import", "url(", ".cssText", "createElement(\"s", "localStorage", "sessionStorage", "indexedDB", "cookie",
        ])
    func doesNot(marker: String) {
        #expect(!text.contains(marker))
    }

    @Test("has an entity tag that is one")
    func entityTag() {
        #expect(EmbedScript.entityTag.wholeMatch(of: /"[0-9a-f]{8,16}"/) != nil)
    }
}
