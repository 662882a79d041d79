/// A message to the client: `{"type": …, "payload": …}`, with `node_id` and `node_name` beside them where they are set.
public struct ClientEvent: Sendable, Hashable {
    /// For example `rtf-user-transcription`.
    public var type: String
    /// An object, as a rule.
    public var payload: JSONValue
    /// The step of the pipeline's workflow that it comes from.
    public var nodeID: String?
    /// What people call that step.
    public var nodeName: String?

    /// Makes an event.
    public init(_ type: String, _ payload: JSONValue = [:], nodeID: String? = nil, nodeName: String? = nil) {
        self.type = type
        self.payload = payload
        self.nodeID = nodeID
        self.nodeName = nodeName
    }
}

/// The live feedback that clients know. Times are text, as the pipeline's own clock writes them; what is nil is left out.
extension ClientEvent {
    /// What the caller says; `isFinal` when the words will not change any more.
    public static func userTranscription(
        _ text: String, isFinal: Bool, timestamp: String? = nil, endTimestamp: String? = nil, userID: String? = nil
    ) -> ClientEvent {
        ClientEvent(
            "rtf-user-transcription",
            .members(
                ["text": .string(text), "final": .bool(isFinal)],
                optional: ["timestamp": timestamp, "end_timestamp": endTimestamp, "user_id": userID]))
    }

    /// What the bot says.
    public static func botText(_ text: String, timestamp: String? = nil, endTimestamp: String? = nil) -> ClientEvent {
        ClientEvent(
            "rtf-bot-text",
            .members(["text": .string(text)], optional: ["timestamp": timestamp, "end_timestamp": endTimestamp]))
    }

    /// The bot begins to use a tool.
    public static func functionCallStart(name: String, callID: String, arguments: JSONValue? = nil) -> ClientEvent {
        var members: [String: JSONValue] = ["function_name": .string(name), "tool_call_id": .string(callID)]
        members["arguments"] = arguments
        return ClientEvent("rtf-function-call-start", .object(members))
    }

    /// The tool has answered.
    public static func functionCallEnd(name: String, callID: String, result: String?) -> ClientEvent {
        ClientEvent(
            "rtf-function-call-end",
            [
                "function_name": .string(name), "tool_call_id": .string(callID),
                "result": result.map(JSONValue.string) ?? .null,
            ])
    }

    /// How long a service took to its first byte.
    public static func timeToFirstByte(_ time: Duration, processor: String, model: String) -> ClientEvent {
        ClientEvent(
            "rtf-ttfb-metric",
            ["ttfb_seconds": .number(time / .seconds(1)), "processor": .string(processor), "model": .string(model)])
    }

    /// The workflow goes on to another step, from `previous` where there was one.
    public static func nodeTransition(
        to node: (id: String, name: String), from previous: (id: String, name: String)?, allowsInterruption: Bool
    ) -> ClientEvent {
        ClientEvent(
            "rtf-node-transition",
            [
                "node_id": .string(node.id), "node_name": .string(node.name),
                "previous_node_id": previous.map { .string($0.id) } ?? .null,
                "previous_node_name": previous.map { .string($0.name) } ?? .null,
                "allow_interrupt": .bool(allowsInterruption),
            ])
    }

    /// Something went wrong in the pipeline; a fatal error ends the call. `details` stand beside the error in the payload.
    public static func pipelineError(
        _ error: String, isFatal: Bool, processor: String? = nil, details: [String: JSONValue] = [:]
    ) -> ClientEvent {
        var members = details
        members["error"] = .string(error)
        members["fatal"] = .bool(isFatal)
        return ClientEvent("rtf-pipeline-error", .members(members, optional: ["processor": processor]))
    }

    /// The bot is heard from now on.
    public static let botStartedSpeaking = ClientEvent("rtf-bot-started-speaking")
    /// The bot is silent from now on.
    public static let botStoppedSpeaking = ClientEvent("rtf-bot-stopped-speaking")
    /// The pipeline does not listen for now.
    public static let userMuteStarted = ClientEvent("rtf-user-mute-started")
    /// The pipeline listens again.
    public static let userMuteStopped = ClientEvent("rtf-user-mute-stopped")
}

extension JSONValue {
    fileprivate static func members(_ members: [String: JSONValue], optional: [String: String?]) -> JSONValue {
        .object(members.merging(optional.compactMapValues { $0.map(JSONValue.string) }) { _, own in own })
    }
}
