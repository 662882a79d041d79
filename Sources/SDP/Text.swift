// Reading the small grammars inside SDP values, on UTF-8 bytes: splitting by `Character` is an order slower.

extension StringProtocol where SubSequence == Substring {
    /// The parts between spaces, empty ones left out.
    var words: [Substring] {
        parts(separatedBy: " ")
    }

    /// The parts between `separator`s, empty ones left out.
    func parts(separatedBy separator: Unicode.Scalar) -> [Substring] {
        let byte = UInt8(ascii: separator)
        return Substring(self).utf8.split(separator: byte).map(Substring.init)
    }

    /// Splits at the first `separator`; nil where there is none.
    func halves(around separator: Unicode.Scalar) -> (Substring, Substring)? {
        let text = Substring(self)
        guard let index = text.utf8.firstIndex(of: UInt8(ascii: separator)) else { return nil }
        return (text[..<index], text[text.utf8.index(after: index)...])
    }

    /// The number that the decimal digits of the text give, and nothing but digits; nil when it does not fit.
    func decimal<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number? {
        // `Number.init(_: String)` takes a sign too, which no SDP grammar here does.
        utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Number(self, radix: 10) : nil
    }

    /// Whether it is a `token` of RFC 8866 §9, of 1 to `limit` characters.
    func isToken(upTo limit: Int) -> Bool {
        (1...limit).contains(utf8.count)
            && utf8.allSatisfy { byte in
                switch byte {
                case 0x21, 0x23...0x27, 0x2a...0x2b, 0x2d...0x2e, 0x30...0x39, 0x41...0x5a, 0x5e...0x7e: true
                default: false
                }
            }
    }

    /// Whether it is a `proto` of RFC 8866 §9: tokens with slashes between them, up to 64 characters.
    var isProtocol: Bool {
        utf8.count <= 64
            && Substring(self).utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
                .allSatisfy { Substring($0).isToken(upTo: 64) }
    }

    /// Whether it is `ice-char`s of RFC 8839 §5.4, as many as `count` allows.
    func isICECharacters(_ count: ClosedRange<Int>) -> Bool {
        count.contains(utf8.count)
            && utf8.allSatisfy { byte in
                switch byte {
                case 0x2b, 0x2f...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: false
                }
            }
    }
}
