package import PatchbayPlugin

/// A call's events as the clients of the signaling socket know them: `{"type": "rtf-…", "payload": {…}}`.
extension ServerMessage {
    /// nil for what these clients have no message for.
    ///
    /// - Parameter step: the one that the pipeline's workflow is at.
    package init?(feedback event: CallEvent, step: WorkflowStep? = nil) {
        switch event {
        case .userText(let text):
            self.init(
                "rtf-user-transcription",
                [
                    "text": .string(text.text), "final": .bool(text.isFinal), "timestamp": text.timestamp.json,
                    "end_timestamp": text.endTimestamp.json, "user_id": text.userID.json,
                ], step)
        case .botText(let text):
            // These clients put one text behind the other: what may still change would be there twice.
            guard text.isFinal else { return nil }
            self.init(
                "rtf-bot-text",
                [
                    "text": .string(text.text), "timestamp": text.timestamp.json,
                    "end_timestamp": text.endTimestamp.json,
                ], step)
        case .toolStarted(let name, let callID, let arguments):
            self.init(
                "rtf-function-call-start",
                ["function_name": .string(name), "tool_call_id": .string(callID), "arguments": arguments], step)
        case .toolEnded(let name, let callID, let result):
            self.init(
                "rtf-function-call-end",
                [
                    "function_name": .string(name), "tool_call_id": .string(callID),
                    "result": result.json ?? .null,
                ], step)
        case .stepChanged(let next, let previous, let allowsInterruption):
            self.init(
                "rtf-node-transition",
                [
                    "node_id": .string(next.id), "node_name": .string(next.name),
                    "previous_node_id": previous?.id.json ?? .null, "previous_node_name": previous?.name.json ?? .null,
                    "allow_interrupt": .bool(allowsInterruption),
                ], step)
        case .timeToFirstByte(let time, let processor, let model):
            self.init(
                "rtf-ttfb-metric",
                [
                    "ttfb_seconds": .number(time / .seconds(1)), "processor": .string(processor),
                    "model": .string(model),
                ], step)
        case .latency(let time):
            self.init("rtf-latency-measured", ["latency_seconds": .number(time / .seconds(1))], step)
        case .error(let error):
            var members = error.details.mapValues(Optional.some)
            members["error"] = .string(error.description)
            members["fatal"] = .bool(error.isFatal)
            if let processor = error.processor { members["processor"] = processor.json }
            self.init("rtf-pipeline-error", members, step)
        case .botStartedSpeaking: self.init("rtf-bot-started-speaking", [:], step)
        case .botStoppedSpeaking: self.init("rtf-bot-stopped-speaking", [:], step)
        case .userMuteStarted: self.init("rtf-user-mute-started", [:], step)
        case .userMuteStopped: self.init("rtf-user-mute-stopped", [:], step)
        case .ready, .userStartedSpeaking, .userStoppedSpeaking, .interrupted, .keyPressed, .ended: return nil
        }
    }

    /// What is nil is left out.
    private init(_ type: String, _ payload: [String: JSONValue?], _ step: WorkflowStep?) {
        var message: [String: JSONValue] = [
            "type": .string(type), "payload": .object(payload.compactMapValues(\.self)),
        ]
        message["node_id"] = step?.id.json
        message["node_name"] = step?.name.json
        self = .custom(.object(message))
    }
}

extension String {
    fileprivate var json: JSONValue { .string(self) }
}

extension String? {
    fileprivate var json: JSONValue? { map(JSONValue.string) }
}
