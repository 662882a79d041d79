extension Secret {
    /// Why it can be guessed: `the secret is a placeholder`; nil when nothing is known. How long it must be is for others
    /// to say.
    package var weakness: String? {
        withValue { secret in
            guard Set(secret.utf8).count >= 4 else {
                return "the secret is made of fewer than four different characters"
            }
            let text = Array(secret.lowercased().utf8)
            let rest = withoutRows(text)
            guard rest == text || weight(of: rest) >= 8 else {
                return "the secret is a row of digits, of the alphabet or of a keyboard"
            }
            // Few words stand in a text by chance, and none of the telling ones beside nearly nothing else.
            let isTelling = text.indices.contains { tellingWords.length(at: $0, in: text) > 0 }
            guard weight(of: withoutWords(rest)) >= (isTelling ? 16 : 8) else { return "the secret is a placeholder" }
            return repeatsItself(text) ? "the secret is one piece again and again" : nil
        }
    }
}

/// How much there is to guess: 2 for a letter, 1 for a digit, nothing for what stands between them.
private func weight(of text: [UInt8]) -> Int {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return text.reduce(0) { sum, byte in sum + (isLetter(byte) ? 2 : digits.contains(byte) ? 1 : 0) }
}

/// One of a to z, or a byte of one that is not ASCII.
private func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte >= 0x80
}

/// Whether it is a piece of at most a third of it, over and over; the last time perhaps not to the piece's end.
private func repeatsItself(_ text: [UInt8]) -> Bool {
    guard text.count >= 3 else { return false }
    return (1...text.count / 3).contains { length in text[length...] == text[..<(text.count - length)] }
}

/// The text with a blank for each of its parts that `length` finds; 0 is none.
private func cutting(_ text: [UInt8], _ length: (_ start: Int) -> Int) -> [UInt8] {
    var rest: [UInt8] = []
    var place = 0
    while place < text.count {
        let count = length(place)
        rest.append(count == 0 ? text[place] : UInt8(ascii: " "))
        place += max(count, 1)
    }
    return rest
}

// MARK: - Rows

/// Keys beside each other, from which counting goes on at the other end.
private struct Row {
    let keys: [UInt8]
    /// Where each of them is, by its byte; -1 for those that are elsewhere.
    private(set) var places = [Int](repeating: -1, count: 256)

    init(_ text: Substring) {
        keys = Array(text.utf8)
        for (place, key) in keys.enumerated() { places[Int(key)] = place }
    }
}

private let rows = """
    0123456789 0123456789abcdef abcdefghijklmnopqrstuvwxyz qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop \
    qsdfghjklm wxcvbn 1qaz2wsx3edc4rfv5tgb6yhn7ujm qazwsxedcrfvtgbyhnujm 1q2w3e4r5t6y7u8i9o0p
    """.split(separator: " ").map { Row($0) }

/// Without what goes up or down a row for four characters or more, and without one character four times.
private func withoutRows(_ text: [UInt8]) -> [UInt8] {
    cutting(text) { start in
        var longest = text[start...].prefix { $0 == text[start] }.count
        for row in rows where row.places[Int(text[start])] >= 0 {
            for step in [1, row.keys.count - 1] {
                var (end, place) = (start, row.places[Int(text[start])])
                while end < text.count, text[end] == row.keys[place] {
                    end += 1
                    place = (place + step) % row.keys.count
                }
                longest = max(longest, end - start)
            }
        }
        return longest < 4 ? 0 : longest
    }
}

// MARK: - Words

/// Words, by the byte that they begin with.
private struct WordList {
    private var words = [[[UInt8]]](repeating: [], count: 256)

    init(_ text: String) {
        for word in text.split(separator: " ").map({ Array($0.utf8) }) { words[Int(word[0])].append(word) }
    }

    /// How long the longest is that begins at a place; 0 where none does. Those of one or two letters stand alone: among
    /// others they are chance.
    func length(at start: Int, in text: [UInt8]) -> Int {
        var longest = 0
        for word in words[Int(text[start])] where word.count > longest && text[start...].starts(with: word) {
            let neighbours = [start - 1, start + word.count].filter { text.indices.contains($0) }
            let isAlone = !neighbours.contains { isLetter(text[$0]) }
            if word.count > 2 || isAlone { longest = word.count }
        }
        return longest
    }
}

/// Those by which a placeholder is known: `change-me-in-production`, `letmein`.
private let tellingWords = WordList(
    """
    change changeme default development example letmein p@ssw0rd passw0rd passwd password placeholder production \
    qwerty secret welcome
    """)

/// What else placeholders are made of: `your-turn-secret-here`, `a-string-secret-at-least-256-bits-long`.
private let otherWords = WordList(
    """
    a admin an and at auth be bit bits characters coturn demo dev dograh for here hmac in is jwt key least local long \
    me minimum must my not now of only or patchbay please random replace server shared sign signing static string \
    super test the this to token turn use user value very with your
    """)

/// Without the words that placeholders are made of.
private func withoutWords(_ text: [UInt8]) -> [UInt8] {
    cutting(text) { max(tellingWords.length(at: $0, in: text), otherWords.length(at: $0, in: text)) }
}
