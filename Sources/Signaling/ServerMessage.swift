package import PatchbayPlugin

/// A message to a client.
package enum ServerMessage: Sendable, Hashable {
    /// Answers an offer or a renegotiation.
    case answer(pcID: String, sdp: String)
    /// A refusal; `errorType` only where clients know one.
    case error(message: String, errorType: String? = nil)
    /// The call is over; a close 1000 `call ended` follows. `detail` says to people what went wrong, where something did.
    case callEnded(runID: Int, pcID: String, reason: String, detail: String? = nil)
    /// A candidate of ours (RFC 8838); nil says that no more will come.
    case iceCandidate(pcID: String, Candidate?)
    /// How a call goes, asked for by `get-statistics`; the names are those of the figures.
    case statistics(pcID: String, [String: JSONValue])
    /// A plugin's event.
    case event(ClientEvent)

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
    package var text: String {
        let (type, payload): (String, JSONValue) =
            switch self {
            case .answer(let pcID, let sdp):
                ("answer", ["sdp": .string(sdp), "type": "answer", "pc_id": .string(pcID)])
            case .error(let message, nil):
                ("error", ["message": .string(message)])
            case .error(let message, let errorType?):
                ("error", ["message": .string(message), "error_type": .string(errorType)])
            case .callEnded(let runID, let pcID, let reason, nil):
                ("call-ended", ["workflow_run_id": .integer(runID), "pc_id": .string(pcID), "reason": .string(reason)])
            case .callEnded(let runID, let pcID, let reason, let detail?):
                (
                    "call-ended",
                    [
                        "workflow_run_id": .integer(runID), "pc_id": .string(pcID), "reason": .string(reason),
                        "detail": .string(detail),
                    ]
                )
            case .iceCandidate(let pcID, let candidate):
                ("ice-candidate", ["pc_id": .string(pcID), "candidate": candidate?.json ?? .null])
            case .statistics(let pcID, let figures):
                ("statistics", .object(figures.merging(["pc_id": .string(pcID)]) { _, id in id }))
            case .event(let event):
                (event.type, event.payload)
            }
        var members: [String: JSONValue] = ["type": .string(type), "payload": payload]
        if case .event(let event) = self {
            members["node_id"] = event.nodeID.map(JSONValue.string)
            members["node_name"] = event.nodeName.map(JSONValue.string)
        }
        return JSONValue.object(members).description
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
