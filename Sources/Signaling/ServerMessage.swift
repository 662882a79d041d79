package import PatchbayPlugin

/// A message to a client.
package enum ServerMessage: Sendable, Hashable {
    /// Answers an offer or a renegotiation.
    case answer(pcID: String, sdp: String)
    /// A refusal; `errorType` only where clients know one.
    case error(message: String, errorType: String? = nil)
    /// The call is over; a close 1000 `call ended` follows. `detail` says to people what went wrong, where something
    /// did.
    case callEnded(runID: Int, pcID: String, reason: String, detail: String? = nil)
    /// A candidate of ours (RFC 8838); nil says that no more will come.
    case iceCandidate(pcID: String, Candidate?)
    /// How a call goes, asked for by `get-statistics`; the names are those of the figures.
    case statistics(pcID: String, [String: JSONValue])
    /// What a pipeline sends: as it is, or in an envelope where a client would take it for the gateway's own word.
    case custom(JSONValue)

    /// An RTCIceCandidateInit.
    package struct Candidate: Sendable, Hashable {
        package var candidate: String
        package var sdpMid: String?
        package var sdpMLineIndex: Int

        package init(candidate: String, sdpMid: String?, sdpMLineIndex: Int) {
            self.candidate = candidate
            self.sdpMid = sdpMid
            self.sdpMLineIndex = sdpMLineIndex
        }
    }

    /// The message as compact JSON text.
    package var text: String { json.description }

    private var json: JSONValue {
        switch self {
        case .answer(let pcID, let sdp):
            Self.message("answer", ["sdp": .string(sdp), "type": "answer", "pc_id": .string(pcID)])
        case .error(let message, let errorType):
            Self.message("error", ["message": .string(message), "error_type": errorType.map(JSONValue.string)])
        case .callEnded(let runID, let pcID, let reason, let detail):
            Self.message(
                "call-ended",
                [
                    "workflow_run_id": .integer(runID), "pc_id": .string(pcID), "reason": .string(reason),
                    "detail": detail.map(JSONValue.string),
                ])
        case .iceCandidate(let pcID, let candidate):
            Self.message("ice-candidate", ["pc_id": .string(pcID), "candidate": candidate?.json ?? .null])
        case .statistics(let pcID, let figures):
            Self.message("statistics", figures.merging(["pc_id": .string(pcID)]) { _, id in id })
        case .custom(let message):
            Self.controlTypes.contains(message["type"]?.string ?? "")
                ? ["type": "pipeline-message", "payload": message] : message
        }
    }

    /// What the gateway alone says: it connects calls and ends them.
    private static let controlTypes: Set = ["answer", "ice-candidate", "error", "call-ended", "statistics"]

    /// What is nil is left out.
    private static func message(_ type: String, _ payload: [String: JSONValue?]) -> JSONValue {
        ["type": .string(type), "payload": .object(payload.compactMapValues(\.self))]
    }
}

extension ServerMessage.Candidate {
    fileprivate var json: JSONValue {
        [
            "candidate": .string(candidate), "sdpMid": sdpMid.map(JSONValue.string) ?? .null,
            "sdpMLineIndex": .integer(sdpMLineIndex),
        ]
    }
}
