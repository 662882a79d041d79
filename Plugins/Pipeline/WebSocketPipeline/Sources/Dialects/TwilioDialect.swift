internal import PatchbayPlugin

/// Twilio Media Streams, both ways (`<Connect><Stream>`): Patchbay takes the place of Twilio.
///
/// <https://www.twilio.com/docs/voice/media-streams/websocket-messages>. Numbers that count are strings there.
struct TwilioDialect: Dialect {
    /// How sound is coded.
    struct Format: Sendable, Hashable {
        /// 8 kHz mu-law, what phones have; otherwise 16-bit linear.
        var isMuLaw: Bool
        var rate: Int
    }

    private let facts: CallFacts
    private let format: Format
    private let accountID: String
    let streamID: String
    let callID: String
    private var sequence = 0
    private var chunk = 0
    private var start: Duration?

    /// - Parameter accountID: `AC` and 32 hexadecimal digits, as a rule.
    init(_ facts: CallFacts, format: Format, accountID: String) {
        self.facts = facts
        self.format = format
        self.accountID = accountID
        streamID = "MZ" + Self.digits(facts.callID)
        callID = Self.callID(facts.callID)
    }

    /// What the bot knows the call by.
    static func callID(_ id: String) -> String { "CA" + digits(id) }

    /// A call's id is a UUID: without its hyphens it looks as Twilio's do.
    private static func digits(_ id: String) -> String { id.filter { $0 != "-" } }

    mutating func opened() -> [Action] {
        [
            .send(.json(["event": "connected", "protocol": "Call", "version": "1.0.0"])),
            .send(
                event(
                    "start",
                    [
                        "streamSid": .string(streamID), "accountSid": .string(accountID), "callSid": .string(callID),
                        "tracks": ["inbound"], "customParameters": .object(parameters.mapValues(JSONValue.string)),
                        "mediaFormat": [
                            "encoding": format.isMuLaw ? "audio/x-mulaw" : "audio/x-l16",
                            "sampleRate": .integer(format.rate), "channels": 1,
                        ],
                    ])),
            .report(.ready),
        ]
    }

    /// Custom parameters are text.
    private var parameters: [String: String] {
        let own = [
            "tenant": facts.tenant, "user_id": facts.userID, "workflow_id": String(facts.workflowID),
            "workflow_run_id": String(facts.workflowRunID),
        ]
        return facts.variables.mapValues { $0.string ?? $0.description }.merging(own) { _, own in own }
    }

    mutating func heard(_ frame: PCMFrame) -> Message? {
        chunk &+= 1
        let start = start ?? frame.timestamp
        self.start = start
        return event(
            "media",
            [
                "track": "inbound", "chunk": .string(String(chunk)),
                "timestamp": .string(String((frame.timestamp - start).wholeMilliseconds)),
                "payload": .string(Base64.text(encoded(frame.samples))),
            ])
    }

    mutating func pressed(_ key: Character) -> Message? {
        event("dtmf", ["track": "inbound_track", "digit": .string(String(key))])
    }

    mutating func settled(mark name: String, _ outcome: MarkOutcome) -> Message? {
        event("mark", ["name": .string(name)])
    }

    mutating func closing() -> Message? {
        event("stop", ["accountSid": .string(accountID), "callSid": .string(callID)])
    }

    private mutating func event(_ name: String, _ content: JSONValue) -> Message {
        sequence &+= 1
        return .json([
            "event": .string(name), "sequenceNumber": .string(String(sequence)), "streamSid": .string(streamID),
            "\(name)": content,
        ])
    }

    func received(_ message: Message) throws(DialectFault) -> [Action] {
        let message = try message.object()
        // A bot that serves several streams names the one it means.
        if let stream = message["streamSid"]?.string, stream != streamID {
            return [.passOver("a message to the streamSid '\(stream)'")]
        }
        switch message["event"]?.string {
        case "media":
            guard let payload = message["media"]?["payload"]?.string, let bytes = Base64.bytes(payload) else {
                throw DialectFault("a media message has no payload in base64")
            }
            return [.play(decoded(bytes), rate: format.rate)]
        case "mark":
            guard let name = message["mark"]?["name"]?.string else { throw DialectFault("a mark has no name") }
            return [.mark(name)]
        case "clear": return [.clear]
        case .some(let event): return [.passOver("the event '\(event)'")]
        case nil: throw DialectFault("a message has no event")
        }
    }

    private func encoded(_ samples: [Int16]) -> [UInt8] {
        format.isMuLaw ? SampleCoding.muLaw(samples) : SampleCoding.littleEndian(samples)
    }

    private func decoded(_ bytes: [UInt8]) -> [Int16] {
        format.isMuLaw ? SampleCoding.samples(muLaw: bytes) : SampleCoding.samples(littleEndian: bytes)
    }
}
