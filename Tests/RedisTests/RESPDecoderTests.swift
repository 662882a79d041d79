import Redis
import TestSupport
import Testing

@Suite("Replies of Redis, RESP2 and RESP3")
struct RESPDecoderTests {
    static let replies: [(String, RESPValue)] = [
        ("+OK\n", .text("OK")), ("+\n", .text("")), ("-ERR no\n", .error("ERR no")), (":0\n", .integer(0)),
        (":-12\n", .integer(-12)), (":9223372036854775807\n", .integer(.max)),
        (":-9223372036854775808\n", .integer(.min)), ("$0\n\n", .text("")), ("$2\nhi\n", .text("hi")),
        ("$6\na\n\nb\n", .string(wire("a\n\nb"))), ("$-1\n", .null), ("*0\n", .array([])), ("*-1\n", .null),
        ("*2\n:1\n$1\na\n", .array([.integer(1), .text("a")])),
        ("*1\n*2\n*0\n$-1\n", .array([.array([.array([]), .null])])),
        ("*2\n-ERR a\n+b\n", .array([.error("ERR a"), .text("b")])),
        // What RESP3 adds.
        ("_\n", .null), ("#t\n", .integer(1)), ("#f\n", .integer(0)), (",3.14\n", .text("3.14")),
        ("(34928903284093850943825024385\n", .text("34928903284093850943825024385")),
        ("!5\nERR a\n", .error("ERR a")), ("=6\ntxt:hi\n", .text("hi")), ("=4\ntxt:\n", .text("")),
        ("%2\n+a\n:1\n+b\n:2\n", .array([.text("a"), .integer(1), .text("b"), .integer(2)])), ("%0\n", .array([])),
        ("~2\n:1\n:2\n", .array([.integer(1), .integer(2)])),
        (">2\n+message\n+hi\n", .push([.text("message"), .text("hi")])), (">0\n", .push([])),
        ("|1\n+ttl\n:60\n$1\na\n", .text("a")), ("|0\n+a\n", .text("a")),
        ("*2\n:1\n|1\n+ttl\n*1\n:60\n:2\n", .array([.integer(1), .integer(2)])),
    ]

    @Test("each kind is read, and nothing before its last byte", arguments: replies)
    func reads(text: String, value: RESPValue) throws {
        let bytes = wire(text)
        var decoder = RESPDecoder()
        for byte in bytes.dropLast() {
            decoder.append([byte])
            #expect(try decoder.next() == nil)
        }
        decoder.append(bytes.suffix(1))
        #expect(try decoder.next() == value)
        #expect(try decoder.next() == nil)
    }

    @Test("wherever a stream is cut, it says the same")
    func everySplit() throws {
        let stream = Self.replies.flatMap { wire($0.0) }
        for cut in 0...stream.count {
            var decoder = RESPDecoder()
            var values: [RESPValue] = []
            for piece in [stream[..<cut], stream[cut...]] {
                decoder.append(piece)
                while let value = try decoder.next() { values.append(value) }
            }
            #expect(values == Self.replies.map(\.1), "cut at \(cut)")
        }
    }

    @Test("a command is an array of texts")
    func commands() throws {
        let command = RedisCommand("SET", .text("ключ"), .bytes([0, 13, 10, 255]), "PX", .integer(-5))
        var decoder = RESPDecoder()
        decoder.append(command.encoded)
        #expect(
            try decoder.next()
                == .array([.text("SET"), .text("ключ"), .string([0, 13, 10, 255]), .text("PX"), .text("-5")]))
        #expect(RedisCommand("PING").encoded == wire("*1\n$4\nPING\n"))
    }

    static let nonsense: [(String, RESPError)] = [
        ("HTTP/1.1 400\n", .unknownType(72)), ("\n", .unknownType(nil)), ("\0\n", .unknownType(0)),
        (":\n", .badNumber), (":1x\n", .badNumber), (":9223372036854775808\n", .badNumber), (": 1\n", .badNumber),
        ("#\n", .badNumber), ("#true\n", .badNumber), ("$\n", .badNumber), ("$-2\n", .badNumber),
        ("$1e3\n", .badNumber), ("$?\n", .badNumber), ("*?\n", .badNumber), ("*-2\n", .badNumber),
        ("%-1\n", .badNumber),
        ("~-1\n", .badNumber), ("=-1\n", .badNumber), ("=3\nabc\n", .badLength), ("$2\nabc\n", .badLength),
        ("$2\na\n\n", .badLength), ("*1\n>1\n:1\n", .unknownType(62)), (";1\n", .unknownType(59)),
        (":\u{666}\n", .badNumber), (":" + String(repeating: "1", count: 4000) + "\n", .badNumber),
    ]

    @Test("what is no reply is told, and nothing is read any more", arguments: nonsense)
    func refuses(text: String, error: RESPError) {
        var decoder = RESPDecoder()
        decoder.append(wire(text))
        for _ in 0..<2 {
            #expect(throws: error) { while try decoder.next() != nil {} }
            decoder.append(wire("+OK\n"))
        }
    }

    @Test("a line ends with CR LF, and has neither within", arguments: ["+a\n+b\r\n", "+a\rb\r\n", "+a\r\r\n"])
    func lines(text: String) {
        var decoder = RESPDecoder()
        decoder.append(Array(text.utf8))
        #expect(throws: RESPError.badLine) { try decoder.next() }
    }

    @Test("the least that is too much is refused, and the most that is not is taken")
    func limits() throws {
        var limits = RESPDecoder.Limits()
        (limits.depth, limits.size, limits.elements) = (3, 40, 5)
        func next(_ text: String) throws -> RESPValue? {
            var decoder = RESPDecoder(limits: limits)
            decoder.append(wire(text))
            return try decoder.next()
        }
        #expect(try next("*1\n*1\n*1\n:1\n") == .array([.array([.array([.integer(1)])])]))
        #expect(throws: RESPError.tooDeep(limit: 3)) { try next("*1\n*1\n*1\n*1\n:1\n") }
        #expect(try next("$33\n\(String(repeating: "a", count: 33))\n") != nil)
        #expect(throws: RESPError.tooLong(limit: 40)) { try next("$34\n\(String(repeating: "a", count: 34))\n") }
        #expect(throws: RESPError.tooLong(limit: 40)) { try next("+\(String(repeating: "a", count: 40))") }
        #expect(try next("*4\n:1\n:2\n:3\n:4\n") != nil)
        #expect(throws: RESPError.tooManyElements(limit: 5)) { try next("*5\n") }
        #expect(throws: RESPError.tooManyElements(limit: 5)) { try next("%3\n+a\n:1\n+b\n:2\n+c\n:3\n") }
        #expect(throws: RESPError.tooManyElements(limit: 5)) { try next("*2\n*1\n:1\n*2\n") }
        // Each reply has limits of its own.
        var decoder = RESPDecoder(limits: limits)
        for _ in 0..<10 {
            decoder.append(wire("*4\n:1\n:2\n:3\n:4\n"))
            #expect(try decoder.next() != nil)
        }
    }

    static let bombs: [(String, RESPError)] = [
        (String(repeating: "*1\n", count: 100_000), .tooDeep(limit: 16)),
        ("*2147483647\n", .tooManyElements(limit: 65_536)), ("*9223372036854775807\n", .tooManyElements(limit: 65_536)),
        ("%4611686018427387904\n", .tooManyElements(limit: 65_536)),
        ("$9223372036854775807\n", .tooLong(limit: 8 << 20)),
        ("!9223372036854775806\n", .tooLong(limit: 8 << 20)), ("$99999999999999999999\n", .badNumber),
        (String(repeating: "|0\n", count: 70_000), .tooManyElements(limit: 65_536)),
        ("+" + String(repeating: "a", count: 9 << 20), .tooLong(limit: 8 << 20)),
    ]

    @Test("what is only announced costs nothing, and what is endless ends", arguments: bombs.indices)
    func bomb(index: Int) {
        let (text, error) = Self.bombs[index]
        var decoder = RESPDecoder()
        decoder.append(wire(text))
        #expect(throws: error) { while try decoder.next() != nil {} }
    }

    @Test("a long reply that comes byte by byte is read in reasonable time")
    func trickle() throws {
        var decoder = RESPDecoder()
        let text = String(repeating: "a", count: 200_000)
        for byte in wire("*2\n+\(text)\n$\(text.count)\n") {
            decoder.append([byte])
            #expect(try decoder.next() == nil)
        }
        decoder.append(wire(text + "\n"))
        #expect(try decoder.next() == .array([.text(text), .text(text)]))
    }

    @Test("whatever is changed in a stream, it is read to its end or refused", arguments: 0..<20 as Range<UInt64>)
    func mutated(seed: UInt64) {
        var random = Seeded(seed)
        let stream = Self.replies.flatMap { wire($0.0) }
        for _ in 0..<500 {
            var bytes = stream
            for _ in 0...Int.random(in: 0..<6, using: &random) {
                let place = Int.random(in: bytes.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                case 2: bytes.insert("$*%~>|!=-:+0123456789\r\n".utf8.randomElement(using: &random) ?? 0, at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + 7))
                }
                if bytes.isEmpty { bytes = stream }
            }
            var decoder = RESPDecoder()
            var count = 0
            while !bytes.isEmpty {
                let size = Int.random(in: 1...bytes.count, using: &random)
                decoder.append(bytes.prefix(size))
                bytes.removeFirst(size)
                while (try? decoder.next()) != nil { count += 1 }
            }
            #expect(count <= stream.count / 3 + 6)
        }
    }
}
