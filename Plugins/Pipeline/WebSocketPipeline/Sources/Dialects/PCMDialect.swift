internal import PatchbayPlugin

/// Raw sound both ways with JSON beside it: the `listen` verb of jambonz with `bidirectionalAudio.streaming`.
///
/// <https://docs.jambonz.org/verbs/verbs/listen>. Binary messages are 16-bit little-endian samples of one channel, any
/// number of them; text messages are JSON objects.
struct PCMDialect: Dialect {
    private let facts: CallFacts
    private let audio: AudioFormat
    /// Bots send half samples only by mistake: the odd byte is kept for the next message.
    private var oddByte: UInt8?

    init(_ facts: CallFacts, audio: AudioFormat) {
        self.facts = facts
        self.audio = audio
    }

    mutating func opened() -> [Action] {
        [
            .send(
                .json([
                    "callSid": .string(facts.callID), "accountSid": .string(facts.tenant),
                    "from": .string(facts.userID),
                    "to": .string(String(facts.workflowID)), "direction": "inbound",
                    "workflowId": .integer(facts.workflowID), "workflowRunId": .integer(facts.workflowRunID),
                    "sampleRate": .integer(audio.inputRate), "mixType": "mono",
                    "bidirectionalAudio": [
                        "enabled": true, "streaming": true, "sampleRate": .integer(audio.outputRate),
                    ],
                    "metadata": .object(facts.variables),
                ])),
            .report(.ready),
        ]
    }

    func heard(_ frame: PCMFrame) -> Message? {
        .binary(SampleCoding.littleEndian(frame.samples))
    }

    func pressed(_ key: Character) -> Message? {
        .json(["event": "dtmf", "dtmf": .string(String(key)), "duration": "1600"])
    }

    func settled(mark name: String, _ outcome: MarkOutcome) -> Message? {
        .json([
            "type": "mark",
            "data": ["name": .string(name), "event": outcome == .played ? "playout" : "cleared"],
        ])
    }

    mutating func received(_ message: Message) throws(DialectFault) -> [Action] {
        if case .binary(var bytes) = message {
            if let oddByte { bytes.insert(oddByte, at: 0) }
            oddByte = bytes.count % 2 == 1 ? bytes.last : nil
            return [.play(SampleCoding.samples(littleEndian: bytes), rate: audio.outputRate)]
        }
        let command = try message.object()
        let data = command["data"]
        switch command["type"]?.string {
        case "killAudio":
            oddByte = nil
            return [.clear]
        case "mark":
            guard let name = data?["name"]?.string else { throw DialectFault("a mark has no name") }
            return [.mark(name)]
        case "clearMarks": return [.forgetMarks]
        case "disconnect": return [.hangUp]
        case "event": return data.flatMap(CallEvent.init(json:)).map { [.report($0)] } ?? []
        case "message": return data?.object.map { [.forward(.object($0))] } ?? []
        case .some(let type): return [.passOver("the type '\(type)'")]
        case nil: throw DialectFault("a message has no type")
        }
    }

    func said(_ message: JSONValue) -> Message? {
        .json(["event": "message", "data": message])
    }
}

extension CallEvent {
    /// What a bot tells with `{"type": "event", "data": {"name": …}}`; nil for what it cannot tell.
    fileprivate init?(json data: JSONValue) {
        let text = data["text"]?.string
        switch data["name"]?.string {
        case "user-started-speaking": self = .userStartedSpeaking
        case "user-stopped-speaking": self = .userStoppedSpeaking
        case "user-text":
            guard let text else { return nil }
            self = .userText(SpokenText(text, isFinal: data["final"] != false))
        case "bot-text":
            guard let text else { return nil }
            self = .botText(SpokenText(text))
        case "tool-started":
            guard let tool = data["tool"]?.string, let id = data["id"]?.string else { return nil }
            self = .toolStarted(name: tool, callID: id, arguments: data["arguments"])
        case "tool-ended":
            guard let tool = data["tool"]?.string, let id = data["id"]?.string else { return nil }
            self = .toolEnded(name: tool, callID: id, result: data["result"].map { $0.string ?? $0.description })
        case "error":
            guard let text else { return nil }
            self = .error(PipelineError(text, isFatal: data["fatal"] == true))
        default: return nil
        }
    }
}
