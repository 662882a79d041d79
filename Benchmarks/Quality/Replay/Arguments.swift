enum UsageError: Error {
    case command, missing, unknown(String)
}

/// The command line: names of files in order, and options with whole numbers.
struct Arguments {
    private var words: ArraySlice<String>

    init(_ words: ArraySlice<String>) {
        self.words = words
    }

    mutating func next() -> String? { words.popFirst() }

    mutating func file() throws -> String {
        guard let word = words.popFirst(), !word.hasPrefix("--") else { throw UsageError.missing }
        return word
    }

    /// Takes `--name VALUE` out, wherever it stands.
    mutating func number(_ name: String, default value: Int) throws -> Int {
        guard let place = words.firstIndex(of: name) else { return value }
        guard place + 1 < words.endIndex, let given = Int(words[place + 1]) else { throw UsageError.missing }
        words.removeSubrange(place...place + 1)
        return given
    }

    /// Takes `--name` out, wherever it stands.
    mutating func flag(_ name: String) -> Bool {
        guard let place = words.firstIndex(of: name) else { return false }
        words.remove(at: place)
        return true
    }

    func finish() throws {
        if let word = words.first { throw UsageError.unknown(word) }
    }
}
