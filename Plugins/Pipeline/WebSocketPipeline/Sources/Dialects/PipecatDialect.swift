internal import PatchbayPlugin

/// Pipecat's WebSocket transport: protocol buffers with sound, and RTVI messages in JSON among them.
///
/// `pipecat/frames/frames.proto`, and RTVI 2: <https://docs.pipecat.ai/client/rtvi-standard>. The bot of the standard
/// runner serves it at `/ws-client`.
struct PipecatDialect: Dialect {
    /// What RTVI version we say we speak.
    static let version = "2.0.0"

    private let facts: CallFacts
    /// Whether the client on the other side speaks RTVI itself, and says that it is ready.
    private let greets: Bool
    private var messages = 0
    /// Bots before the frame of that name tell of an interruption in RTVI alone.
    private var sendsInterruptions = false

    /// - Parameter greets: says `client-ready`, without which a bot that waits for it does not begin.
    init(_ facts: CallFacts, greets: Bool) {
        self.facts = facts
        self.greets = greets
    }

    mutating func opened() -> [Action] {
        guard greets else { return [.report(.ready)] }
        return [
            .send(
                rtvi(
                    "client-ready",
                    ["version": .string(Self.version), "about": ["library": "patchbay", "platform": "gateway"]])),
            .send(
                rtvi(
                    "client-message",
                    [
                        "t": "call",
                        "d": [
                            "call_id": .string(facts.callID), "tenant": .string(facts.tenant),
                            "user_id": .string(facts.userID), "workflow_id": .integer(facts.workflowID),
                            "workflow_run_id": .integer(facts.workflowRunID), "variables": .object(facts.variables),
                        ],
                    ])),
        ]
    }

    func heard(_ frame: PCMFrame) -> Message? {
        let sound = PipecatFrame.audio(SampleCoding.littleEndian(frame.samples), rate: frame.sampleRate, channels: 1)
        return .binary(sound.bytes)
    }

    mutating func pressed(_ key: Character) -> Message? {
        rtvi("dtmf", ["buttons": [.string(String(key))]])
    }

    func said(_ message: JSONValue) -> Message? {
        .binary(PipecatFrame.message(message.description).bytes)
    }

    mutating func closing() -> Message? {
        rtvi("disconnect-bot", [:])
    }

    private mutating func rtvi(_ type: String, _ data: JSONValue) -> Message {
        messages += 1
        let message: JSONValue = [
            "id": .string("patchbay-\(messages)"), "label": "rtvi-ai", "type": .string(type), "data": data,
        ]
        return .binary(PipecatFrame.message(message.description).bytes)
    }

    mutating func received(_ message: Message) throws(DialectFault) -> [Action] {
        guard case .binary(let bytes) = message else { throw DialectFault("a message is text") }
        guard let frame = PipecatFrame(bytes) else { throw DialectFault("a message is no frame of Pipecat's") }
        switch frame {
        case .audio(let samples, let rate, let channels):
            guard (1...2).contains(channels) else { throw DialectFault("a frame has \(channels) channels") }
            return [.play(mixedDown(SampleCoding.samples(littleEndian: samples), channels), rate: rate)]
        case .interruption:
            sendsInterruptions = true
            return [.clear]
        case .transcription(let text, let userID, let timestamp):
            return [.report(.userText(SpokenText(text, timestamp: timestamp, userID: userID)))]
        case .message(let text): return try rtvi(text)
        case .text, .unknown: return []
        }
    }

    private func mixedDown(_ samples: [Int16], _ channels: Int) -> [Int16] {
        guard channels == 2 else { return samples }
        return stride(from: 0, to: samples.count - 1, by: 2).map { index in
            Int16((Int(samples[index]) + Int(samples[index + 1])) / 2)
        }
    }

    /// A message goes on to the client as it is; what the call's events have of it is reported too.
    private mutating func rtvi(_ text: String) throws(DialectFault) -> [Action] {
        let message = try Message.text(text).object()
        guard message["label"]?.string == "rtvi-ai" else { return [.forward(message)] }
        return event(of: message["type"]?.string ?? "", message["data"] ?? [:]) + [.forward(message)]
    }

    private mutating func event(of type: String, _ data: JSONValue) -> [Action] {
        switch type {
        case "bot-ready": return [.report(.ready)]
        case "bot-interrupted": return sendsInterruptions ? [] : [.clear]
        case "user-started-speaking":
            // An older bot stops its own voice then, and says no more of it. What it sent ahead may be playing although it
            // has said that it is done.
            return [.report(.userStartedSpeaking)] + (sendsInterruptions ? [] : [.clear])
        case "user-stopped-speaking": return [.report(.userStoppedSpeaking)]
        case "user-mute-started": return [.report(.userMuteStarted)]
        case "user-mute-stopped": return [.report(.userMuteStopped)]
        case "user-transcription":
            guard let text = data["text"]?.string else { return [] }
            let words = SpokenText(
                text, isFinal: data["final"] != false, timestamp: data["timestamp"]?.string,
                userID: data["user_id"]?.string)
            return [.report(.userText(words))]
        case "bot-tts-text":
            return data["text"]?.string.map { [.report(.botText(SpokenText($0)))] } ?? []
        case "llm-function-call-in-progress":
            guard let id = data["tool_call_id"]?.string else { return [] }
            return [
                .report(
                    .toolStarted(
                        name: data["function_name"]?.string ?? "", callID: id, arguments: data["arguments"]))
            ]
        case "llm-function-call-stopped":
            guard let id = data["tool_call_id"]?.string else { return [] }
            return [
                .report(
                    .toolEnded(
                        name: data["function_name"]?.string ?? "", callID: id,
                        result: data["result"].map { $0.string ?? $0.description }))
            ]
        case "metrics": return Self.times(data["ttfb"])
        case "error":
            let text = data["error"]?.string ?? data["message"]?.string ?? "the bot reports an error"
            return [.report(.error(PipelineError(text, isFatal: data["fatal"] == true)))]
        default: return []
        }
    }

    private static func times(_ list: JSONValue?) -> [Action] {
        guard case .array(let entries)? = list else { return [] }
        return entries.prefix(16).compactMap { entry in
            guard let processor = entry["processor"]?.string, let seconds = entry["value"]?.double else { return nil }
            let time = Duration.milliseconds(Int64(clamping: Int(max(0, min(seconds, 3600)) * 1000)))
            return .report(.timeToFirstByte(time, processor: processor, model: entry["model"]?.string ?? ""))
        }
    }
}
