internal import PatchbayPlugin

/// The OpenAI Realtime API over WebSocket, server to server:
/// <https://platform.openai.com/docs/guides/realtime-websocket>.
///
/// The names of the general release and of the beta before it, and sessions in the shape of either. 16-bit linear sound
/// at 24 kHz both ways. Answers come faster than they are heard: when the caller speaks up, what is queued is dropped,
/// and the item that was being heard is cut in the conversation to what was.
struct OpenAIRealtimeDialect: Dialect {
    static let audio = AudioFormat(inputRate: 24_000, outputRate: 24_000)

    /// A piece of an answer that has sound.
    private struct Item {
        var id: String
        var contentIndex: Int
        /// In all that was ever asked to be played.
        var start: Duration
        var end: Duration
    }

    private let session: JSONValue
    private let speaksFirst: Bool
    /// Whether the server stops an answer when the caller speaks up.
    private let interrupts: Bool
    /// Those that may not be heard out yet, oldest first.
    private var items: [Item] = []
    /// All that was asked to be played, in samples.
    private var asked = 0
    /// Answers that were cut: what still comes of them is not played. Bounded, since each ends.
    private var cut: Set<String> = []
    /// The answer whose sound came last, until it is whole.
    private var current: String?
    private var isReady = false
    private var tools: [String: String] = [:]
    /// What the caller has said so far of an item, whose words come in pieces.
    private var heard: (item: String, text: String) = ("", "")

    /// - Parameters:
    ///   - session: goes into `session.update`. `{{name}}` in its instructions stands for a variable of the call.
    ///   - speaksFirst: the bot is asked for an answer before the caller has spoken.
    init(_ facts: CallFacts, session: JSONValue, speaksFirst: Bool) {
        self.session = Self.filled(session, facts.variables)
        self.speaksFirst = speaksFirst
        let turns = session["audio"]?["input"]?["turn_detection"] ?? session["turn_detection"]
        interrupts = turns?["interrupt_response"] != false
    }

    private static func filled(_ session: JSONValue, _ variables: [String: JSONValue]) -> JSONValue {
        guard let instructions = session["instructions"]?.string else { return session }
        // In one pass: what a variable says is not looked at again.
        let filled = instructions.replacing(/\{\{(.*?)\}\}/) { match in
            guard let value = variables[String(match.1)] else { return String(match.0) }
            return value.string ?? value.description
        }
        return session.merging(["instructions": .string(filled)])
    }

    mutating func opened() -> [Action] {
        var actions: [Action] = [
            .send(.json(["type": "session.update", "session": session.merging(Self.ours(in: session))]))
        ]
        if speaksFirst { actions.append(.send(.json(["type": "response.create"]))) }
        return actions
    }

    func heard(_ frame: PCMFrame) -> Message? {
        .json([
            "type": "input_audio_buffer.append",
            "audio": .string(Base64.text(SampleCoding.littleEndian(frame.samples))),
        ])
    }

    mutating func received(_ message: Message) throws(DialectFault) -> [Action] {
        let message = try message.object()
        guard let type = message["type"]?.string else { throw DialectFault("a message has no type") }
        switch type {
        case "session.updated":
            if isReady { return [] }
            isReady = true
            return [.report(.ready)]
        case "input_audio_buffer.speech_started": return [.report(.userStartedSpeaking)] + (interrupts ? [.clear] : [])
        case "input_audio_buffer.speech_stopped": return [.report(.userStoppedSpeaking)]
        case "response.output_audio.delta", "response.audio.delta": return try sound(message)
        case "response.output_audio_transcript.done", "response.audio_transcript.done":
            return words(message["transcript"]).map { [.report(.botText(SpokenText($0)))] } ?? []
        case "response.output_text.done", "response.text.done":
            return words(message["text"]).map { [.report(.botText(SpokenText($0)))] } ?? []
        case "conversation.item.input_audio_transcription.delta":
            return interim(message)
        case "conversation.item.input_audio_transcription.completed":
            return words(message["transcript"]).map { [.report(.userText(SpokenText($0)))] } ?? []
        case "conversation.item.input_audio_transcription.failed":
            return [.report(.error(fault(message["error"])))]
        case "response.function_call_arguments.done": return toolStarted(message)
        case "conversation.item.created", "conversation.item.added": return toolEnded(message["item"])
        case "response.done":
            let id = message["response"]?["id"]?.string
            if let id { cut.remove(id) }
            if id == current || id == nil { current = nil }
            return failure(of: message["response"])
        case "error": return [.report(.error(fault(message["error"])))]
        default: return []
        }
    }

    private func words(_ text: JSONValue?) -> String? {
        guard let text = text?.string, !text.isEmpty else { return nil }
        return text
    }

    private mutating func interim(_ message: JSONValue) -> [Action] {
        guard let delta = words(message["delta"]) else { return [] }
        let item = message["item_id"]?.string ?? ""
        if heard.item != item || heard.text.utf8.count > 64 * 1024 { heard = (item, "") }
        heard.text += delta
        return [.report(.userText(SpokenText(heard.text, isFinal: false)))]
    }

    // MARK: - Sound

    private mutating func sound(_ message: JSONValue) throws(DialectFault) -> [Action] {
        guard let delta = message["delta"]?.string, let bytes = Base64.bytes(delta) else {
            throw DialectFault("a delta of sound is not base64")
        }
        if let response = message["response_id"]?.string, cut.contains(response) { return [] }
        let samples = SampleCoding.samples(littleEndian: bytes)
        let start = position
        asked += samples.count
        let id = message["item_id"]?.string ?? ""
        let contentIndex = message["content_index"]?.integer ?? 0
        if let last = items.indices.last, items[last].id == id, items[last].contentIndex == contentIndex {
            items[last].end = position
        } else {
            if items.count >= 64 { items.removeFirst() }
            items.append(Item(id: id, contentIndex: contentIndex, start: start, end: position))
        }
        if let response = message["response_id"]?.string { current = response }
        return [.play(samples, rate: Self.audio.outputRate)]
    }

    private var position: Duration {
        // In two steps: a bot that sends for long enough would overflow one.
        let rate = Self.audio.outputRate
        return .seconds(asked / rate) + .nanoseconds(Int64(asked % rate) * 1_000_000_000 / Int64(rate))
    }

    mutating func cleared(at position: Duration) -> [Message] {
        defer { items = [] }
        if let current {
            // What is on its way of this answer would be heard after the interruption.
            if cut.count >= 64 { cut = [] }
            cut.insert(current)
        }
        guard let item = items.first(where: { position < $0.end }), !item.id.isEmpty else { return [] }
        return [
            .json([
                "type": "conversation.item.truncate", "item_id": .string(item.id),
                "content_index": .integer(item.contentIndex),
                "audio_end_ms": .integer(max(.zero, position - item.start).wholeMilliseconds),
            ])
        ]
    }

    // MARK: - Tools and faults

    private mutating func toolStarted(_ message: JSONValue) -> [Action] {
        guard let id = message["call_id"]?.string else { return [] }
        let name = message["name"]?.string ?? ""
        if tools.count < 64 { tools[id] = name }
        let arguments = message["arguments"]?.string.map { text in
            (try? JSONValue(parsing: text)) ?? .string(text)
        }
        return [.report(.toolStarted(name: name, callID: id, arguments: arguments))]
    }

    /// Whoever runs the tools puts their results into the conversation.
    private mutating func toolEnded(_ item: JSONValue?) -> [Action] {
        guard let item, item["type"]?.string == "function_call_output", let id = item["call_id"]?.string else {
            return []
        }
        return [
            .report(.toolEnded(name: tools.removeValue(forKey: id) ?? "", callID: id, result: item["output"]?.string))
        ]
    }

    private func failure(of response: JSONValue?) -> [Action] {
        guard response?["status"]?.string == "failed" else { return [] }
        return [.report(.error(fault(response?["status_details"]?["error"])))]
    }

    private func fault(_ error: JSONValue?) -> PipelineError {
        var details = error?.object ?? [:]
        let message = details.removeValue(forKey: "message")?.string ?? "the bot reports an error"
        return PipelineError(message, details: details.filter { $0.value != .null })
    }
}

/// The two shapes of a session.
extension OpenAIRealtimeDialect {
    private static let format: JSONValue = ["type": "audio/pcm", "rate": .integer(audio.inputRate)]
    /// The same, 24 kHz included.
    private static let betaFormat: JSONValue = "pcm16"

    /// What only sessions of the beta have. Its `voice` and `turn_detection` some servers of today have there as well.
    private static let betaMembers = [
        "input_audio_format", "output_audio_format", "input_audio_transcription", "input_audio_noise_reduction",
        "max_response_output_tokens", "modalities",
    ]

    /// The members of a session that are not for the configuration to set, in the shape in which it is written.
    private static func ours(in session: JSONValue) -> JSONValue {
        if betaMember(of: session) != nil {
            return ["input_audio_format": betaFormat, "output_audio_format": betaFormat]
        }
        return ["type": "realtime", "audio": ["input": ["format": format], "output": ["format": format]]]
    }

    private static func betaMember(of session: JSONValue) -> String? {
        betaMembers.first { session[$0] != nil }
    }

    /// What is written must not contradict the members that the gateway sets: they would win without a word.
    static func check(_ session: JSONValue) throws(SettingsFault) {
        guard session.object != nil else { throw fault("the session is no object") }
        if let type = session["type"], type != "realtime" {
            throw fault("a session of type \(type) does not talk; leave `type` out")
        }
        if let beta = betaMember(of: session), session["audio"] != nil {
            throw fault("`\(beta)` is from the API's beta and `audio` is not: a server knows one or the other")
        }
        for name in ["input_audio_format", "output_audio_format"] {
            if let written = session[name], written != betaFormat { throw fault("`\(name)` can be pcm16 only") }
        }
        guard let audio = session["audio"] else { return }
        guard audio.object != nil else { throw fault("`audio` is no object") }
        for side in ["input", "output"] {
            guard let written = audio[side] else { continue }
            guard written.object != nil else { throw fault("`audio.\(side)` is no object") }
            if let written = written["format"], written != format {
                throw fault("`audio.\(side).format` can be audio/pcm at 24000 only; leave it out")
            }
        }
    }

    private static func fault(_ text: String) -> SettingsFault {
        SettingsFault(text, field: "openai_realtime")
    }
}

extension JSONValue {
    /// This object with the members of another over its own, objects in objects likewise.
    func merging(_ other: JSONValue) -> JSONValue {
        guard case .object(let own) = self, case .object(let others) = other else { return other }
        return .object(own.merging(others) { $0.merging($1) })
    }
}
