import Signaling
import Testing

@Suite("The playground page")
struct PlaygroundTests {
    @Test(
        "starts with the token given, and nothing else can get in with it",
        arguments: [
            (nil, ""), ("emb_aZ-09.x~y", "emb_aZ-09.x~y"), (#""><script>alert(1)</script>"#, "scriptalert1script"),
        ] as [(String?, String)])
    func token(token: String?, expected: String) {
        let page = String(decoding: Playground.page(token: token), as: UTF8.self)
        #expect(page.contains("<html lang=\"en\" data-token=\"\(expected)\" data-state=\"idle\">"))
        #expect(page.hasSuffix("</html>\n"))
    }

    @Test("loads nothing from elsewhere")
    func selfContained() {
        let page = String(decoding: Playground.page(token: nil), as: UTF8.self)
        for marker in ["src=\"", "href=\"http", "url(", "@import", "import("] {
            #expect(!page.contains(marker), "\(marker)")
        }
    }
}
