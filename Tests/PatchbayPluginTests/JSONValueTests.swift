import PatchbayPlugin
import TestSupport
import Testing

@Suite("JSON, RFC 8259")
struct JSONValueTests {
    @Test(
        "is read as the RFC says",
        arguments: [
            ("null", .null), (" true ", true), ("[false]", [false]), ("0", 0), ("-0", 0), ("-7", -7), ("1.5", 1.5),
            ("1e2", 100.0), ("-0.25E-1", -0.025), ("-0.5e+3", -500.0), ("1e-999", 0.0),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", 9_223_372_036_854_775_808.0), ("{}", [:]), ("[]", []),
            ("[ 1 , [ ] , { } ]", [1, [], [:]]), ("\t[ 1 , 2 ]\r\n", [1, 2]), (#"{"a":null}"#, ["a": .null]),
            (#"{"a":[1,{"b":null}],"c":"d"}"#, ["a": [1, ["b": .null]], "c": "d"]),
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""\u00e9\uD83D\ude00é😀\u0000""#, "é😀é😀\0"),
        ] as [(String, JSONValue)])
    func good(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(
        "is refused where it breaks the grammar",
        arguments: [
            "", " ", "nul", "nulll", "True", "truex", "01", "-", "-01", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN",
            "Infinity", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "[]]", "{", #"{"a"}"#, #"{"a":}"#,
            #"{"a":1,}"#, #"{,"a":1}"#, "{a:1}", "{1:2}", #"{"a":1"#, #"{"a":1 "b":2}"#, "\"", "\"a", "\"\n\"",
            "\"\0\"", #""\x""#, #""\u12""#, #""\u12g4""#, #""\u+123""#, #""\ud800""#, #""\ud800\u0041""#,
            #""\ud800x""#, #""\udc00""#, "1 2", "'a'", "/**/1", "\u{FEFF}1",
        ])
    func bad(text: String) {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        guard case .syntax(let offset)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect((0...text.utf8.count).contains(offset))
    }

    @Test(
        "says where it breaks",
        arguments: [
            ("[1,]", .syntax(offset: 3)), ("1 2", .syntax(offset: 2)), (#"["a\x"]"#, .syntax(offset: 3)),
            ("[1e999]", .range(offset: 1)), ("-1e309", .range(offset: 0)),
            ("[\"\(String(repeating: "\u{F81}", count: 31))\"]", .combining(offset: 1)),
        ] as [(String, JSONError)])
    func place(text: String, expected: JSONError) {
        let error = #expect(throws: expected) { try JSONValue(parsing: text) }
        #expect(error?.description.contains("JSON") == true)
    }

    @Test(
        "must be UTF-8",
        arguments: [
            ([0x22, 0xFF, 0x22], 1), ([0x22, 0x61, 0xED, 0xA0, 0x80, 0x22], 2), ([0x22, 0xC0, 0x80, 0x22], 1),
            ([0x31, 0xC3], 1),
        ] as [([UInt8], Int)])
    func encoding(bytes: [UInt8], offset: Int) {
        #expect(throws: JSONError.syntax(offset: offset)) { try JSONValue(parsing: bytes) }
    }

    @Test("may nest 16 levels and no more, or as many as the caller says", arguments: [("[", "]"), (#"{"a":"#, "}")])
    func depth(open: String, close: String) throws {
        func nested(_ depth: Int) -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        #expect(try JSONValue(parsing: nested(16)).description == nested(16))
        #expect(throws: JSONError.depth(limit: 16)) { try JSONValue(parsing: nested(17)) }
        #expect(try JSONValue(parsing: nested(3), maximumDepth: 3).description == nested(3))
        #expect(throws: JSONError.depth(limit: 2)) { try JSONValue(parsing: nested(3), maximumDepth: 2) }
        #expect(throws: JSONError.depth(limit: 0)) { try JSONValue(parsing: nested(1), maximumDepth: 0) }
    }

    @Test(
        "has no name twice in an object, however it is written",
        arguments: [#"{"type":1,"type":2}"#, #"[{"type":null,"a":1,"\u0074ype":2}]"#])
    func duplicates(text: String) {
        #expect(throws: JSONError.duplicate(name: "type")) { try JSONValue(parsing: text) }
    }

    @Test("may have one name in several objects")
    func sameNameElsewhere() throws {
        #expect(try JSONValue(parsing: #"{"a":{"a":1},"b":{"a":2}}"#) == ["a": ["a": 1], "b": ["a": 2]])
    }

    @Test("is written in one line, members by name, control characters escaped, and read back as it was")
    func roundTrip() throws {
        let value: JSONValue = ["b": [:], "a": ["\u{1}\"\\/é😀\n", 1, -2.5, 1e300, true, .null], "": []]
        let text = #"{"":[],"a":["\u0001\"\\/é😀\n",1,-2.5,1e+300,true,null],"b":{}}"#
        #expect(value.description == text)
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test("never traps, and what is read comes back when written: 10 000 random and mutated texts", arguments: 1...10)
    func noise(seed: UInt64) {
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"", "\\", #"\u"#, #"\ud83d"#, #"\ude00"#, "00e9", "\"a\"", "\"b\":", "true",
            "false", "null", "0", "-1", "1.5", "e9", "1e999", " ", "\n", "é", "😀", "\0",
        ].map { Array($0.utf8) }
        let stock = Array(#"{"a":[1,-2.5e3,{"b":"\u00e9\ud83d\ude00 é"},true,false,null],"c":{},"d":["x",[]]}"#.utf8)
        var dice = Seeded(seed)
        var read = 0
        for round in 0..<1000 {
            let isMutation = round % 2 == 0
            var text = isMutation ? stock : []
            for _ in 0..<Int.random(in: 1...(isMutation ? 3 : 30), using: &dice) {
                // Now and then a byte that may break UTF-8.
                let piece =
                    Int.random(in: 0..<8, using: &dice) == 0
                    ? [.random(in: 0...255, using: &dice)] : pieces.randomElement(using: &dice) ?? []
                let start = isMutation ? Int.random(in: 0...text.count, using: &dice) : text.count
                let end = isMutation ? min(text.count, start + .random(in: 0...4, using: &dice)) : start
                text.replaceSubrange(start..<end, with: piece)
            }
            do {
                let value = try JSONValue(parsing: text)
                read += 1
                #expect((try? JSONValue(parsing: value.description)) == value, "\(text)")
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
        #expect(read > 0)
    }

    @Test("of 64 KB is done with in time proportional to its length", arguments: LongText.all)
    func long(text: LongText) {
        func time(_ size: Int) -> Duration {
            let bytes = text.bytes(size)
            // The best of several, as the machine may be busy.
            return (0..<5).map { _ in
                ContinuousClock().measure { #expect(((try? JSONValue(parsing: bytes)) != nil) == text.isGood) }
            }.min() ?? .zero
        }
        // Eight times the text: 64 times as long would be quadratic.
        let (short, long) = (time(8 * 1024), time(64 * 1024))
        #expect(long < max(short * 32, .milliseconds(500)), "\(short), \(long)")
        #expect(long < .seconds(5))
    }
}

/// What a hostile peer may send to keep a reader busy.
struct LongText: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var isGood: Bool
    private var prefix: String
    private var piece: String
    private var suffix: String

    init(_ name: String, isGood: Bool, _ prefix: String, _ piece: String, _ suffix: String) {
        testDescription = name
        self.isGood = isGood
        (self.prefix, self.piece, self.suffix) = (prefix, piece, suffix)
    }

    func bytes(_ size: Int) -> [UInt8] {
        Array((prefix + String(repeating: piece, count: size / piece.utf8.count) + suffix).utf8)
    }

    private static let marked = "a" + String(repeating: "\u{301}\u{323}", count: 15)
    private static let vowels = "a" + String(repeating: "\u{F73}\u{323}", count: 15)

    static let all = [
        LongText("brackets that open", isGood: false, "", "[", ""),
        LongText("braces that open", isGood: false, "", #"{"a":"#, ""),
        LongText("empty objects, one after the other", isGood: false, "", "{}", ""),
        LongText("a list of empty objects", isGood: true, "[{}", ",{}", "]"),
        LongText("a list of lists", isGood: true, "[[]", ",[]", "]"),
        LongText("spaces", isGood: false, "", " ", ""),
        LongText("a string", isGood: true, "\"", "a", "\""),
        LongText("a string without end", isGood: false, "\"", "a", ""),
        LongText("escapes", isGood: true, "\"", #"\ud83d\ude00"#, "\""),
        LongText("accents on one letter", isGood: false, "{\"a", "\u{301}\u{323}", "\":1}"),
        LongText("accents, 30 on each letter", isGood: true, "{\"", marked, "\":1}"),
        LongText("vowel signs of two parts, 30 on each letter", isGood: true, "{\"", vowels, "\":1}"),
        LongText("digits", isGood: false, "1", "7", ""),
        LongText("digits of a fraction", isGood: true, "0.", "7", ""),
        LongText("digits of an exponent", isGood: false, "1e", "7", ""),
    ]
}
