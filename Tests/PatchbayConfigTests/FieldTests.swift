import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("Fields")
struct FieldTests {
    enum Colour: String, FieldChoice { case red, darkBlue = "dark-blue" }

    struct Inner: PluginSettings {
        @Field("Name") var name: String
        @Field("Size", in: 1...3) var size: Int = 2
    }

    struct All: PluginSettings {
        @Field("Text") var text: String = "t"
        @Field("Number") var number: Int = 0
        @Field("Fraction") var fraction: Double = 0.5
        @Field("Flag") var flag: Bool = false
        @Field("Time") var time: Duration = .zero
        @Field("Colour") var colour: Colour = .red
        @Field("Maybe", in: 1...9) var maybe: Int?
        @Field("List") var list: [String] = []
        @Field("Map") var map: [String: Int] = [:]
        @Field("Inner") var inner: Inner?
        @Field("Inners") var inners: [Inner] = []
        @Field("Store") var keptIn: StoreReference?
        @Field("File") var dataURL: FileReference?
        @Field("Any") var free: JSONValue = .null
    }

    private func read(_ yaml: String) throws -> All {
        try decodeSettings(All.self, yaml: yaml, environment: ["PORT": "81", "EMPTY": ""])
    }

    @Test("of every kind are read by their type")
    func kinds() throws {
        let all = try read(
            """
            text: some words
            number: -12
            fraction: 1e-3
            flag: true
            time: 250ms
            colour: dark-blue
            maybe: 9
            list: [a, "b"]
            map: { x: 1, y: 2 }
            inner: { name: n }
            inners:
              - name: a
                size: 3
              - { name: b }
            kept_in: local
            data_url: data/x
            free: { a: [1, 1.5, "1", true, null, word] }
            """)
        #expect(all.text == "some words" && all.number == -12 && all.fraction == 0.001 && all.flag)
        #expect(all.time == .milliseconds(250) && all.colour == .darkBlue && all.maybe == 9)
        #expect(all.list == ["a", "b"] && all.map == ["x": 1, "y": 2])
        #expect(all.inner?.name == "n" && all.inner?.size == 2)
        #expect(all.inners.map(\.name) == ["a", "b"] && all.inners.map(\.size) == [3, 2])
        #expect(all.keptIn == StoreReference("local") && all.dataURL == FileReference("data/x"))
        #expect(all.free == ["a": [1, 1.5, "1", true, .null, "word"]])
    }

    @Test("keep their default when they are left out, and lists and maps are empty when nothing follows the key")
    func defaults() throws {
        let all = try read("list:\nmap:\n")
        #expect(all.text == "t" && all.fraction == 0.5 && all.maybe == nil && all.inner == nil && all.list.isEmpty)
    }

    @Test(
        "of text keep their text, which YAML 1.1 would have changed",
        arguments: ["no", "on", "y", "1.10", "0123", "0x1F", "nil", "1:30", "2001-12-14", "1_000", ".inf"])
    func traps(text: String) throws {
        #expect(try read("text: \(text)").text == text)
    }

    @Test(
        "of text are not YAML's words for nothing, unless they stand in quotes",
        arguments: ["null", "Null", "NULL", "~"])
    func nothing(word: String) throws {
        #expect(try read("text: '\(word)'").text == word)
        #expect(throws: (any Error).self) { try read("text: \(word)") }
        #expect(throws: (any Error).self) { try read("maybe: \(word)") }
    }

    @Test(
        "expand variables inside one scalar, after parsing",
        arguments: [
            ("${PORT}", "81"), ("a${PORT}b${PORT}", "a81b81"), ("${NONE:-x y}", "x y"), ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("$$", "$"), ("$${PORT}", "${PORT}"), ("5$ a$b", "5$ a$b"), ("'${NONE:-[1, 2]: x}'", "[1, 2]: x"),
        ])
    func variables(yaml: String, text: String) throws {
        #expect(try read("text: \(yaml)").text == text)
    }

    @Test("of numbers may come from a variable")
    func numberFromVariable() throws {
        #expect(try read("number: ${PORT}").number == 81)
    }

    @Test(
        "take no other spelling",
        arguments: [
            "number: 0123", "number: 1.0", "number: +1", "number: 1_000", "number: 99999999999999999999", "number: ''",
            "fraction: nan", "fraction: inf", "fraction: 0x1p3", "fraction: 1e999", "flag: yes", "flag: True",
            "flag: on",
            "time: 10", "time: 1.5s", "time: -1s", "time: 1 s", "time: 1w", "time: 9223372036854775807d", "time: s",
            "colour: blue", "colour: Red", "maybe: 0", "maybe: 10", "maybe:", "list: a", "list: { a: 1 }", "map: [a]",
            "map: { x: a }", "inner: text", "inner: {}", "inners: [{ name: a, size: 4 }]", "inners: { name: a }",
            "text: [a]", "text:", "text: { a: b }",
        ])
    func refused(yaml: String) {
        let error = #expect(throws: Faults.self) { try read(yaml) }
        #expect(error?.faults.count == 1, "\(error?.description ?? "")")
    }

    @Test(
        "of durations are written with the largest unit",
        arguments: [
            (Duration.zero, "0"), (.milliseconds(600), "600ms"), (.seconds(90), "90s"), (.seconds(120), "2m"),
            (.seconds(7200), "2h"), (.seconds(86_400 * 30), "30d"), (.milliseconds(1500), "1500ms"),
        ])
    func durations(duration: Duration, text: String) {
        #expect(duration.written == .string(text))
        #expect(Duration.decode(text) == duration)
    }

    @Test("of a choice among digits are in the schema as YAML reads them, with quotes and without")
    func digits() {
        enum Rate: String, FieldChoice { case low = "8000", any }
        let variable: JSONValue = ["type": "string", "pattern": #"\$\{"#]
        #expect(Rate.schema == ["anyOf": [["enum": ["8000", "any", 8000]], variable]])
    }

    @Test("without an upper end say so")
    func noUpperEnd() {
        struct Count: PluginSettings {
            @Field("How many", in: 1...Int.max) var count: Int
        }
        let error = #expect(throws: Faults.self) { try decodeSettings(Count.self, yaml: "count: 0") }
        #expect(error?.faults.map(\.message) == ["expected a whole number from 1 up, found '0'"])
    }

    @Test("misspelled once each are all found, with the right name")
    func typos() throws {
        let names = All().fields.map(\.name)
        #expect(
            names == [
                "text", "number", "fraction", "flag", "time", "colour", "maybe", "list", "map", "inner", "inners",
                "kept_in",
                "data_url", "free",
            ])
        for name in names {
            // A letter swapped with its neighbour, one left out, one added, one replaced.
            var swapped = Array(name)
            swapped.swapAt(1, 2)
            for typo in [String(swapped), String(name.dropLast()), name + "x", "q" + name.dropFirst()]
            where !names.contains(typo) {
                let error = #expect(throws: Faults.self) { try read("\(typo): 1") }
                #expect(error?.faults.map(\.message) == ["unknown key '\(typo)'"])
                let help = try #require(error?.faults.first?.help)
                #expect(
                    help == "did you mean '\(name)'?" || name == "inner" && help.contains("inners"), "\(typo): \(help)")
            }
        }
    }

    @Test("can be set, and copies stay apart")
    func values() throws {
        let decoded = try read("number: 1")
        var copy = decoded
        copy.number = 2
        #expect(decoded.number == 1 && copy.number == 2 && All().number == 0)
    }

    @Test("that are required trap when they are read before they were decoded")
    func undecoded() async {
        await #expect(processExitsWith: .failure) { print(Inner().name) }
    }
}
