import Logging
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("The log")
struct OneLineLogTests {
    @Test(
        "has one line an entry, whatever strangers said that stands in it",
        arguments: [
            ("plain", "plain"), ("Grüße, 日本", "Grüße, 日本"), ("a\nb", "a\\u{a}b"), ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("\u{1b}cred", "\\u{1b}cred"), ("\u{202e}txt", "\\u{202e}txt"), ("\u{2028}", "\\u{2028}"),
            ("\u{7f}\u{85}", "\\u{7f}\\u{85}"),
        ])
    func oneLine(said: String, shown: String) {
        let recorded = RecordedLog()
        var logger = Logger(label: "test") { _ in OneLineLogHandler(recorded) }
        logger.info("as metadata", metadata: ["it": "\(said)", "list": ["\(said)"]])
        logger[metadataKey: "own"] = "\(said)"
        logger.info("in the logger")
        logger.info("\(said) in the message")
        recorded.lines.byMessage.withLock { lines in
            #expect(lines["as metadata"]?["it"] == "\(shown)")
            #expect(lines["as metadata"]?["list"]?.description.contains("\n") == false)
            #expect(lines["in the logger"]?["own"] == "\(shown)")
            #expect(lines["\(shown) in the message"] != nil)
        }
    }

    @Test(
        "has each value in its field: what could be taken for another is quoted",
        arguments: [
            ("Origin not allowed", "Origin not allowed"), ("a tenant=b", #""a tenant=b""#), ("", ""),
            ("\u{1b}[31mred", #""\u{1b}[31mred""#),
            ("a [PatchbayKit] b", #""a [PatchbayKit] b""#), (#"say "hi""#, #""say \"hi\"""#),
            (#"a\u{a}"#, #""a\\u{a}""#),
            ("\" b=\n", #""\" b=\u{a}""#), ("\"\u{301}", "\"\\\"\u{301}\""),
        ])
    func fields(said: String, shown: String) {
        let recorded = RecordedLog()
        let logger = Logger(label: "test") { _ in OneLineLogHandler(recorded) }
        logger.info("said", metadata: ["it": "\(said)"])
        #expect(recorded.lines.byMessage.withLock { $0["said"]?["it"] } == "\(shown)")
    }
}
