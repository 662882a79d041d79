import Logging
import TestSupport
import Testing

@Suite("The search for secrets in what is logged")
struct LeaksTests {
    private static let name = "a key that JSON and addresses write otherwise"
    private static let key = Leaks.secret(name, #"k3y "of" 50% \ é/+"#)

    private static func found(_ message: Logger.Message, _ metadata: Logger.Metadata = [:]) -> Set<String> {
        let event = LogEvent(
            level: .trace, message: message, metadata: metadata, source: nil, file: #fileID, function: #function,
            line: #line)
        return Leaks.found(in: WatchedLog().line(of: event))
    }

    @Test(
        "finds one in the message and in the metadata, however deep, and however it is written",
        arguments: [
            ("\(key)", [:]), ("it is \(key), and", [:]), ("\(key)\u{301}", [:]), ("x", ["key": "\(key)"]),
            ("x", ["keys": ["none", ["first": ["\(key)"]]]]), ("x", ["keys": ["\(key)": "a name"]]),
            (#"{"key":"k3y \"of\" 50% \\ é/+"}"#, [:]), ("/?a=k3y%20%22of%22%2050%25%20%5C%20%C3%A9%2F%2B&b", [:]),
        ] as [(Logger.Message, Logger.Metadata)])
    func finds(message: Logger.Message, metadata: Logger.Metadata) {
        #expect(Self.found(message, metadata) == [Self.name])
    }

    @Test("finds one in what a logger says in each line")
    func everyLine() {
        var log = WatchedLog()
        log[metadataKey: "key"] = "\(Self.key)"
        let event = LogEvent(
            level: .trace, message: "x", metadata: nil, source: nil, file: #fileID, function: #function, line: #line)
        #expect(Leaks.found(in: log.line(of: event)) == [Self.name])
    }

    @Test("finds of a JWT its signature")
    func token() {
        let signature = "c2lnbmF0dXJlIG9mIGEgdGVzdA"
        #expect(Leaks.token("eyJhbGciOiJIUzI1NiJ9.e30.\(signature)").hasSuffix(signature))
        #expect(Self.found("eyJhbGciOiJIUzI1NiJ9.e30.") == [])
        #expect(Self.found("it ends with \(signature)") == ["a bearer token"])
    }

    @Test("finds nothing else: half of one, what nobody has called a secret, and what is short")
    func others() {
        Leaks.secret("a short one", "fifteen letters")
        #expect(
            Self.found("\(Self.key.dropLast())", ["a": "fifteen letters", "b": "k3y of 50% of all that is said"]) == [])
    }
}
