import PatchbayPlugin
import Testing

@testable import EmbedTokenAuth

@Suite("JSON from a page")
struct HostileJSONTests {
    @Test(
        "is read as RFC 8259 says",
        arguments: [
            ("null", .null), (" true ", true), ("[false]", [false]), ("0", 0), ("-7", -7), ("1.5", 1.5), ("1e2", 100.0),
            ("-0.25E-1", -0.025), ("9223372036854775807", .integer(.max)),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("{}", [:]), ("[]", []), (#"{"a":[1,{"b":null}],"c":"d"}"#, ["a": [1, ["b": .null]], "c": "d"]),
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""\u00e9\ud83d\ude00é😀""#, "é😀é😀"),
            (#"{"a":null}"#, ["a": .null]), ("\t[ 1 , 2 ]\r\n", [1, 2]),
        ] as [(String, JSONValue)])
    func good(text: String, value: JSONValue) {
        #expect(JSONValue(parsing: Array(text.utf8)) == value)
    }

    @Test(
        "is refused when it is anything else",
        arguments: [
            "", " ", "nul", "nulll", "True", "01", "-", "+1", ".5", "1.", "1e", "1e+", "1e999", "0x1", "NaN", "[", "[1",
            "[1,",
            "[1,]", "[,1]", "[1 2]", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "{a:1}", "{1:2}", #"{"a":1"#,
            #"{"a":1 "b":2}"#,
            #"{"a":1,"a":2}"#, #"{"a":null,"a":2}"#, "\"", "\"a", "\"\n\"", #""\x""#, #""\u12""#, #""\u12g4""#,
            #""\ud800""#,
            #""\ud800\u0041""#, #""\udc00""#, "1 2", "[]]", "'a'", "/**/1", "\u{feff}1",
        ])
    func bad(text: String) {
        #expect(JSONValue(parsing: Array(text.utf8)) == Optional.none)
    }

    @Test("may nest 16 levels and no more")
    func depth() {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let deepest = String(repeating: open, count: 16) + "1" + String(repeating: close, count: 16)
            #expect(JSONValue(parsing: Array(deepest.utf8)) != Optional.none)
            #expect(JSONValue(parsing: Array((open + deepest + close).utf8)) == Optional.none)
        }
        #expect(JSONValue(parsing: [UInt8](repeating: UInt8(ascii: "["), count: 65_536)) == Optional.none)
    }

    @Test("must be UTF-8")
    func encoding() {
        #expect(JSONValue(parsing: [0x22, 0xff, 0x22]) == Optional.none)
        #expect(JSONValue(parsing: [0x22, 0xed, 0xa0, 0x80, 0x22]) == Optional.none)
    }

    @Test("is what it was after it was written")
    func roundTrip() {
        let value: JSONValue = ["a": ["\u{1}\"\\é😀", 1, -2.5, true, .null], "b": [:], "": []]
        #expect(JSONValue(parsing: Array(value.description.utf8)) == value)
    }
}
