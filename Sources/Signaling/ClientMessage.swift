package import PatchbayPlugin

/// A message a client sent, or what is wrong with it.
package enum ClientMessage: Sendable, Hashable {
    /// A first offer, or another one on a live `pcID`.
    case offer(pcID: String, sdp: String, type: String, contextVariables: [String: JSONValue]?)
    /// An offer without a good `pc_id`, `sdp` or `type`.
    case missingOfferFields
    /// One trickled candidate (RFC 8838).
    case iceCandidate(pcID: String, Candidate)
    /// `pcID` is empty when it was missing or not allowed, so that no connection answers to it.
    case renegotiate(pcID: String, sdp: String, type: String, restartPC: Bool)
    /// Asks how a call goes; `pcID` as in `renegotiate`.
    case getStatistics(pcID: String)
    /// For the pipeline: the payload of a `pipeline-message`, or a whole message of RTVI.
    case forPipeline(JSONValue)
    /// Nothing to do and nothing to answer. `type` is as it came, at most 64 characters.
    case ignored(type: String)
    /// Not a message at all: the socket closes with 1007.
    case malformed(reason: String)

    /// What an `ice-candidate` message says.
    package enum Candidate: Sendable, Hashable {
        /// An RTCIceCandidateInit; `candidate` is the attribute's text, not yet parsed.
        case some(candidate: String, sdpMid: String?, sdpMLineIndex: Int?, usernameFragment: String?)
        /// No more will come.
        case endOfCandidates
    }
}

extension ClientMessage {
    /// Reads one text message. Never fails: what cannot be read is `malformed`.
    package init(_ text: String) {
        do throws(JSONError) {
            self.init(try JSONValue(parsing: text))
        } catch {
            self = .malformed(reason: error.description)
        }
    }

    private init(_ envelope: JSONValue) {
        guard case .object = envelope else {
            self = .malformed(reason: "message is not a JSON object")
            return
        }
        let type = envelope["type"]?.string ?? ""
        // RTVI has types and an envelope of its own.
        if envelope["label"]?.string == "rtvi-ai" {
            self = .forPipeline(envelope)
            return
        }
        guard ["offer", "ice-candidate", "renegotiate", "get-statistics", "pipeline-message"].contains(type) else {
            self = .ignored(type: String(type.prefix(64)))
            return
        }
        let payload = envelope["payload"] ?? .object([:])
        guard case .object = payload else {
            self = .malformed(reason: "payload of \(type) is not an object")
            return
        }
        switch type {
        case "offer": self = Self.offer(payload)
        case "ice-candidate": self = Self.iceCandidate(payload)
        case "renegotiate": self = Self.renegotiate(payload)
        case "pipeline-message": self = .forPipeline(payload)
        default: self = .getStatistics(pcID: Self.pcID(payload) ?? "")
        }
    }

    private static func offer(_ payload: JSONValue) -> ClientMessage {
        guard let pcID = pcID(payload), let sdp = payload["sdp"]?.string, !sdp.isEmpty,
            let type = payload["type"]?.string, !type.isEmpty
        else { return .missingOfferFields }
        return .offer(pcID: pcID, sdp: sdp, type: type, contextVariables: payload["call_context_vars"]?.object)
    }

    private static func iceCandidate(_ payload: JSONValue) -> ClientMessage {
        guard let pcID = pcID(payload) else { return .ignored(type: "ice-candidate") }
        let value = payload["candidate"] ?? .null
        if value.isFalsy { return .iceCandidate(pcID: pcID, .endOfCandidates) }
        guard case .object = value else { return .malformed(reason: "candidate is not an object") }
        let text = value["candidate"] ?? .null
        if text.isFalsy { return .iceCandidate(pcID: pcID, .endOfCandidates) }
        guard case .string(let candidate) = text else { return .malformed(reason: "candidate text is not a string") }
        return .iceCandidate(
            pcID: pcID,
            .some(
                candidate: candidate, sdpMid: value["sdpMid"]?.string, sdpMLineIndex: value["sdpMLineIndex"]?.integer,
                usernameFragment: value["usernameFragment"]?.string))
    }

    private static func renegotiate(_ payload: JSONValue) -> ClientMessage {
        .renegotiate(
            pcID: pcID(payload) ?? "", sdp: payload["sdp"]?.string ?? "", type: payload["type"]?.string ?? "",
            restartPC: !(payload["restart_pc"] ?? .null).isFalsy)
    }

    /// 1 to 64 characters of `[A-Za-z0-9_-]`; anything else counts as missing.
    private static func pcID(_ payload: JSONValue) -> String? {
        guard let id = payload["pc_id"]?.string, (1...64).contains(id.utf8.count) else { return nil }
        let allowed = id.utf8.allSatisfy { byte in
            switch Unicode.Scalar(byte) {
            case "A"..."Z", "a"..."z", "0"..."9", "_", "-": true
            default: false
            }
        }
        return allowed ? id : nil
    }
}

extension JSONValue {
    /// Whether Python would call the value false: null, false, zero, and whatever is empty.
    fileprivate var isFalsy: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .integer(let value): value == 0
        case .number(let value): value == 0
        case .string(let text): text.isEmpty
        case .array(let values): values.isEmpty
        case .object(let members): members.isEmpty
        }
    }
}
