import Redis
import Testing

/// Bytes as a test writes them: text, with CR LF for each newline.
func wire(_ text: String) -> [UInt8] {
    text.utf8.reduce(into: []) { bytes, byte in
        if byte == UInt8(ascii: "\n") { bytes.append(UInt8(ascii: "\r")) }
        bytes.append(byte)
    }
}

extension RESPValue {
    static func text(_ text: String) -> RESPValue { .string(Array(text.utf8)) }
}

/// Waits for what happens by itself.
func eventually(
    _ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    for _ in 0..<4000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("it did not come to pass in 20 s", sourceLocation: sourceLocation)
}
