import Signaling
import TestSupport
import WebRTC
import WebSocket

@testable import PatchbayKit

/// One thing that a client, or its pipeline, does.
enum Step: CustomStringConvertible {
    case offer(String, sdp: String)
    case renegotiation(String, sdp: String, restarts: Bool)
    /// An offer with one of its fields missing, or of another type.
    case halfOffer(String)
    case offerOfType(String, pcID: String)
    /// How a call goes.
    case question(String)
    /// What nothing is answered to.
    case silent(String)
    /// What is no message.
    case malformed(WebSocketConnection.Inbound)
    case closing
    /// The connection goes without a word.
    case losing
    case hangUp

    private static let names = ["PC-a", "PC-b", "PC-c"]
    private static let line = "candidate:1 1 udp 2122260223 203.0.113.9 45406 typ host"

    static func random(_ generator: inout Seeded) -> Step {
        let name = pick(names, &generator)
        let number = generator.next() % 100
        let sdp = generator.chance(0.2) ? "bad \(number)" : "v=\(number)"
        return switch generator.next() % 100 {
        case ..<30: .offer(name, sdp: sdp)
        case ..<45: .renegotiation(generator.chance(0.8) ? name : "", sdp: sdp, restarts: generator.chance(0.5))
        case ..<52: .halfOffer(pick(halfOffers, &generator))
        case ..<55: .offerOfType(pick(["answer", "rollback"], &generator), pcID: name)
        case ..<61: .question(generator.chance(0.8) ? name : "")
        case ..<75: .silent(pick(silence, &generator).replacing("PC-?", with: name))
        case ..<85: .malformed(pick(malformed, &generator))
        case ..<89: .closing
        case ..<94: .losing
        default: .hangUp
        }
    }

    private static func pick<Element>(_ elements: [Element], _ generator: inout Seeded) -> Element {
        elements[Int(generator.next() % UInt64(elements.count))]
    }

    private static let halfOffers = [
        #"{"type":"offer"}"#, #"{"type":"offer","payload":{}}"#,
        #"{"type":"offer","payload":{"sdp":"v=0","type":"offer"}}"#,
        #"{"type":"offer","payload":{"pc_id":"PC-a","sdp":"","type":"offer"}}"#,
        #"{"type":"offer","payload":{"pc_id":"PC-a","sdp":"v=0","type":null}}"#,
        #"{"type":"offer","payload":{"pc_id":"PC a","sdp":"v=0","type":"offer"}}"#,
    ]

    private static let silence = [
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-?","candidate":{"candidate":"\#(line)","sdpMid":"0"}}}"#,
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-?","candidate":{"candidate":"nonsense"}}}"#,
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-?","candidate":null}}"#,
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-?","candidate":{}}}"#,
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-?"}}"#, #"{"type":"ice-candidate","payload":{}}"#,
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-nobody","candidate":{"candidate":"\#(line)"}}}"#,
        #"{"type":"hello","payload":{"pc_id":"PC-?"}}"#, #"{"type":"answer","payload":null}"#, "{}",
    ]

    private static let malformed: [WebSocketConnection.Inbound] = [
        .text(""), .text("{"), .text("[]"), .text("7"), .text(#"{"type":"offer","payload":null}"#),
        .text(#"{"type":"renegotiate","payload":[]}"#), .text(#"{"type":"x","type":"y"}"#),
        .text(#"{"type":"ice-candidate","payload":{"pc_id":"PC-a","candidate":"\#(line)"}}"#), .binary([1, 2, 3]),
    ]

    /// What the client sends; nil for what is no message.
    var message: WebSocketConnection.Inbound? {
        switch self {
        case .offer(let pcID, let sdp): .text(TestSocket.offer(pcID, sdp))
        case .renegotiation(let pcID, let sdp, let restarts):
            .text(
                #"{"type":"renegotiate","payload":{"pc_id":"\#(pcID)","sdp":"\#(sdp)","restart_pc":\#(restarts)}}"#)
        case .question(let pcID): .text(TestSocket.getStatistics(pcID))
        case .halfOffer(let text), .silent(let text): .text(text)
        case .offerOfType(let type, let pcID): .text(TestSocket.offer(pcID, type: type))
        case .malformed(let message): message
        case .closing, .losing, .hangUp: nil
        }
    }

    /// The call it is about, so that a caller is back with it; nil when it is about none.
    var pcID: String? {
        switch self {
        case .offer(let pcID, _), .renegotiation(let pcID, _, _), .question(let pcID): pcID
        case .silent(let text):
            text.contains("ice-candidate") ? Self.names.first { text.contains(#""pc_id":"\#($0)""#) } : nil
        case .halfOffer, .offerOfType, .malformed, .closing, .losing, .hangUp: nil
        }
    }

    var description: String {
        switch message {
        case .text(let text): text
        case .binary(let bytes): "binary \(bytes)"
        case .closed, nil:
            switch self {
            case .closing: "the client closes"
            case .losing: "the client is lost"
            default: "the pipeline hangs up"
            }
        }
    }
}

/// What one user must hear, who has one run and one socket at a time.
struct SequenceModel {
    private enum Run: Equatable {
        case free
        case live(pcID: String)
        case ended
    }

    static let runID = 501
    private var run = Run.free
    /// Whether the call's socket is lost, and its caller not back yet.
    private(set) var isAway = false

    /// What the user has to ask about to have a call on its socket again; nil when none waits.
    var awaited: String? {
        if isAway, case .live(let pcID) = run { pcID } else { nil }
    }

    /// Calls that are alive.
    var calls: Int {
        if case .live = run { 1 } else { 0 }
    }

    /// Does the step and says what comes back; a socket that closes takes its call along, one that is lost does not.
    mutating func expect(_ step: Step) -> [Sent] {
        if let pcID = step.pcID, run == .live(pcID: pcID) { isAway = false }
        switch step {
        case .offer(let pcID, let sdp): return offer(pcID, sdp)
        case .renegotiation(let pcID, let sdp, _):
            guard run == .live(pcID: pcID) else { return [.notFound] }
            return reply(pcID, sdp)
        case .question(let pcID):
            return run == .live(pcID: pcID) ? [.statistics(pcID, CallStatistics())] : [.notFound]
        case .halfOffer: return [.missingFields]
        case .offerOfType: return [.error("Expected a description of type offer")]
        case .silent: return []
        case .malformed: return [.error("Malformed message: …"), .closedAsMalformed] + end("socket_closed")
        case .closing: return end("socket_closed")
        case .losing:
            isAway = calls == 1
            return []
        case .hangUp:
            defer { if isAway { (run, isAway) = (.ended, false) } }
            return end("hung up")
        }
    }

    private mutating func offer(_ pcID: String, _ sdp: String) -> [Sent] {
        switch run {
        case .live(pcID): return reply(pcID, sdp)
        case .live: return [.runActive]
        case .ended: return [.runCompleted]
        case .free:
            if !sdp.hasPrefix("bad") { run = .live(pcID: pcID) }
            return reply(pcID, sdp)
        }
    }

    private func reply(_ pcID: String, _ sdp: String) -> [Sent] {
        sdp.hasPrefix("bad") ? [.badOffer] : Sent.answer(pcID, to: sdp)
    }

    private mutating func end(_ reason: String) -> [Sent] {
        guard case .live(let pcID) = run, !isAway else { return [] }
        run = .ended
        return [.callEnded(pcID, run: Self.runID, reason: reason), .closedAfterCall]
    }
}
