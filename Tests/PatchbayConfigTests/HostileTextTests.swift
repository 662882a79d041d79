import PatchbayConfig
import TestSupport
import Testing

@Suite("Hostile text")
struct HostileTextTests {

    static let pieces = [
        "\n", "\n  ", "\n    ", "- ", ": ", ", ", "[", "]", "{", "}", "\"", "'", "|\n", ">\n", "&a ", "*a", "<<",
        "!!str ",
        "${", "}", "$", "#", "---\n", "...\n", "%YAML 1.1\n", "? ", "\t", "\r\n", "\u{2028}", "\u{85}", "\u{FEFF}",
        "\u{0}",
        "é", "👩‍👩‍👧", "a\u{301}", "version", "tenants", "auth", "type", "secret", "env", "file", "jwt", "0", "-1",
        "99999999999999999999", "10s", "any", "match", "pipeline", "pipelines", "media", "ports", "1-2",
    ]

    @Test(
        "of 10 000 random and mutated documents never traps, and every fault has a place in its text", arguments: 1...10
    )
    func documents(seed: UInt64) throws {
        var dice = Seeded(seed &* 0x9E37_79B9_7F4A_7C15)
        let stock = Array(try stock().unicodeScalars)
        for round in 0..<1000 {
            var scalars: [Unicode.Scalar] = round % 2 == 0 ? stock : []
            for _ in 0..<Int.random(in: 1...(round % 2 == 0 ? 4 : 60), using: &dice) {
                let piece = Array((Self.pieces.randomElement(using: &dice) ?? "").unicodeScalars)
                let place = round % 2 == 0 ? Int.random(in: 0...scalars.count, using: &dice) : scalars.count
                let end = round % 2 == 0 ? min(scalars.count, place + Int.random(in: 0...9, using: &dice)) : place
                scalars.replaceSubrange(place..<end, with: piece)
            }
            let text = String(String.UnicodeScalarView(scalars))
            do {
                _ = try load(text)
            } catch {
                #expect(!error.faults.isEmpty)
                #expect(!error.description.isEmpty)
                let lines = scalars.count { $0 == "\n" || $0 == "\r" || $0 == "\u{85}" || $0 == "\u{2028}" } + 1
                let misplaced = error.faults.first { $0.line < 1 || $0.line > lines || $0.column < 1 || $0.length < 1 }
                #expect(misplaced == nil, "\(misplaced.map { "\($0)" } ?? "") in \(text.debugDescription)")
            }
        }
    }

    @Test("of the greatest size is done with in no time")
    func large() {
        let clock = ContinuousClock()
        for piece in ["a: {b: [", "[a, ", "- ", "? ", "k: 1\n", "{a: ", "\"", "server: {a: 1}\n", "a", "a, "] {
            let text = String(repeating: piece, count: 256 * 1024 / piece.utf8.count)
            let time = clock.measure { #expect(faults(in: text).utf8.count < 200_000) }
            #expect(time < .seconds(20), "\(piece) took \(time)")
        }
    }
}
