/// Something that happens in a call, for whoever follows it: the caller's client, as far as its tenant shows it, and
/// the pipeline itself.
///
/// A pipeline reports what only it knows with ``Call/report(_:)``. What the gateway knows itself it tells itself: the
/// last five of these mean nothing when a pipeline reports them.
public enum CallEvent: Sendable, Hashable {
    /// The bot is there, and listens.
    case ready
    /// The caller begins to speak. Until a pipeline has said so once, the gateway guesses by loudness.
    case userStartedSpeaking
    /// The caller pauses.
    case userStoppedSpeaking
    /// What the caller says.
    case userText(SpokenText)
    /// What the bot says. Clients are told when it is final.
    case botText(SpokenText)
    /// The bot stops because the caller speaks up; what was queued has been dropped.
    case interrupted
    /// The bot begins to use a tool.
    case toolStarted(name: String, callID: String, arguments: JSONValue? = nil)
    /// The tool has answered.
    case toolEnded(name: String, callID: String, result: String?)
    /// The pipeline's workflow goes on to another step.
    case stepChanged(to: WorkflowStep, from: WorkflowStep?, allowsInterruption: Bool)
    /// How long a service took to its first byte.
    case timeToFirstByte(Duration, processor: String, model: String)
    /// The pipeline does not listen for now.
    case userMuteStarted
    /// The pipeline listens again.
    case userMuteStopped
    /// Something went wrong.
    case error(PipelineError)

    /// The caller hears the bot from now on: its first sound has been sent.
    case botStartedSpeaking
    /// The bot's last sound has been sent, or was dropped.
    case botStoppedSpeaking
    /// From the end of the caller's speech to the first sound of the answer.
    case latency(Duration)
    /// The caller pressed a key (RFC 4733): 0-9, *, #, A-D.
    case keyPressed(Character)
    /// The call is over; the reason is the wire's.
    case ended(reason: String)

    /// Whether it says no more than who speaks, and what: nothing of how the bot comes to its answers.
    package var isTranscript: Bool {
        switch self {
        case .ready, .userStartedSpeaking, .userStoppedSpeaking, .userText, .botText, .interrupted, .userMuteStarted,
            .userMuteStopped, .botStartedSpeaking, .botStoppedSpeaking, .keyPressed, .ended:
            true
        case .toolStarted, .toolEnded, .stepChanged, .timeToFirstByte, .error, .latency: false
        }
    }

    /// Whether the gateway tells it, and nobody else.
    package var isGateways: Bool {
        switch self {
        case .botStartedSpeaking, .botStoppedSpeaking, .latency, .keyPressed, .ended: true
        case .ready, .userStartedSpeaking, .userStoppedSpeaking, .userText, .botText, .interrupted, .toolStarted,
            .toolEnded, .stepChanged, .timeToFirstByte, .userMuteStarted, .userMuteStopped, .error:
            false
        }
    }
}

/// Words of the caller or the bot. Times are text, as the pipeline's own clock writes them.
public struct SpokenText: Sendable, Hashable {
    /// The words.
    public var text: String
    /// Whether they will not change any more.
    public var isFinal: Bool
    /// When the first was spoken.
    public var timestamp: String?
    /// When the last was spoken.
    public var endTimestamp: String?
    /// Who spoke, where the pipeline tells several callers apart.
    public var userID: String?

    /// Makes a text.
    public init(
        _ text: String, isFinal: Bool = true, timestamp: String? = nil, endTimestamp: String? = nil,
        userID: String? = nil
    ) {
        self.text = text
        self.isFinal = isFinal
        self.timestamp = timestamp
        self.endTimestamp = endTimestamp
        self.userID = userID
    }
}

/// A step of a pipeline's workflow.
public struct WorkflowStep: Sendable, Hashable {
    /// What programs call it.
    public var id: String
    /// What people call it.
    public var name: String

    /// Makes a step.
    public init(id: String, name: String) {
        self.id = id
        self.name = name
    }
}

/// Something that went wrong in a pipeline, for whoever looks into it; visitors of an embed page do not see it.
public struct PipelineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    public var description: String
    /// Whether the call ends with it.
    public var isFatal: Bool
    /// The part of the pipeline that it comes from.
    public var processor: String?
    /// More of it by name.
    public var details: [String: JSONValue]

    /// Makes an error.
    public init(
        _ description: String, isFatal: Bool = false, processor: String? = nil, details: [String: JSONValue] = [:]
    ) {
        self.description = description
        self.isFatal = isFatal
        self.processor = processor
        self.details = details
    }
}
