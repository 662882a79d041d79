/// A message to a client.
package enum ServerMessage: Sendable, Hashable {
    /// Answers an offer or a renegotiation.
    case answer(pcID: String, sdp: String)
    /// A refusal; `errorType` only where clients know one.
    case error(message: String, errorType: String? = nil)
    /// The peer connection closed; a close 1000 `call ended` follows.
    case callEnded(runID: Int, pcID: String, reason: String)
    /// A candidate of ours (RFC 8838); nil says that no more will come.
    case iceCandidate(pcID: String, Candidate?)
    /// A plugin's event. `payload` is JSON text and goes out as it is.
    case event(type: String, payload: String)

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
        switch self {
        case .answer(let pcID, let sdp):
            return envelope("answer", [("sdp", .string(sdp)), ("type", .string("answer")), ("pc_id", .string(pcID))])
        case .error(let message, let errorType):
            let code = errorType.map { [("error_type", JSON.string($0))] } ?? []
            return envelope("error", code + [("message", .string(message))])
        case .callEnded(let runID, let pcID, let reason):
            return envelope(
                "call-ended",
                [("workflow_run_id", .number(String(runID))), ("pc_id", .string(pcID)), ("reason", .string(reason))])
        case .iceCandidate(let pcID, let candidate):
            return envelope("ice-candidate", [("pc_id", .string(pcID)), ("candidate", candidate?.json ?? .null)])
        case .event(let type, let payload):
            return "{\"type\":\(JSON.string(type)),\"payload\":\(payload)}"
        }
    }

    private func envelope(_ type: String, _ payload: [(String, JSON)]) -> String {
        JSON.object([("type", .string(type)), ("payload", .object(payload))]).description
    }
}

extension ServerMessage.Candidate {
    fileprivate var json: JSON {
        .object([
            ("candidate", .string(candidate)), ("sdpMid", sdpMid.map(JSON.string) ?? .null),
            ("sdpMLineIndex", .number(String(sdpMLineIndex))),
        ])
    }
}

extension JSON {
    fileprivate static func object(_ members: [(String, JSON)]) -> JSON {
        .object(members.map { Member(name: $0.0, value: $0.1) })
    }
}
