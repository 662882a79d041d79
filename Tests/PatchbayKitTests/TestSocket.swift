import PatchbayPlugin
import Signaling
import Synchronization
import WebRTC
import WebSocket

@testable import PatchbayKit

/// What the gateway did to a client's socket.
enum Sent: Equatable, CustomStringConvertible {
    case message(JSONValue)
    case close(code: UInt16, reason: String)

    /// A message, from its JSON text.
    init(_ text: String) {
        self = (try? JSONValue(parsing: text)).map(Sent.message) ?? .close(code: 0, reason: "no JSON: \(text)")
    }

    var description: String {
        switch self {
        case .message(let json): json.description
        case .close(let code, let reason): "close \(code) \(reason)"
        }
    }
}

extension Sent {
    static func answer(_ pcID: String, to sdp: String) -> [Sent] {
        [
            Sent(#"{"type":"answer","payload":{"sdp":"answer to \#(sdp)","type":"answer","pc_id":"\#(pcID)"}}"#),
            Sent(#"{"type":"ice-candidate","payload":{"pc_id":"\#(pcID)","candidate":null}}"#),
        ]
    }

    static func error(_ message: String) -> Sent {
        Sent(#"{"type":"error","payload":{"message":"\#(message)"}}"#)
    }

    static func error(_ message: String, _ type: String) -> Sent {
        Sent(#"{"type":"error","payload":{"message":"\#(message)","error_type":"\#(type)"}}"#)
    }

    static func callEnded(_ pcID: String, run: Int, reason: String) -> Sent {
        Sent(
            #"{"type":"call-ended","payload":{"workflow_run_id":\#(run),"pc_id":"\#(pcID)","reason":"\#(reason)"}}"#)
    }

    static func statistics(_ pcID: String, _ statistics: CallStatistics) -> Sent {
        .message([
            "type": "statistics",
            "payload": .object(statistics.figures.merging(["pc_id": .string(pcID)]) { _, id in id }),
        ])
    }

    static let closedAfterCall = Sent.close(code: 1000, reason: "call ended")
    static let closedAsMalformed = Sent.close(code: 1007, reason: "malformed message")

    // The refusals, in the order of their rows.
    static let missingFields = Sent.error("Missing offer fields")
    static let quotaExceeded = Sent.error("No credits left", "quota_exceeded")
    static let alreadyOwned = Sent.error("Peer connection already owned")
    static let runCompleted = Sent.error(
        "This test run has already finished. Start a new test to call the agent again.",
        "workflow_run_already_completed")
    static let noRoom = Sent.error("Concurrent call limit reached", "concurrency_limit_exceeded")
    static let quotaUnknown = Sent.error(
        "Could not verify the call's quota. Please try again.", "quota_check_failed")
    static let runActive = Sent.error("Workflow run already has an active call", "workflow_run_already_active")
    static let notFound = Sent.error("Peer connection not found")
    static let badOffer = Sent.error("The offer could not be answered: it is bad")
}

/// A session, and a client that hands it one message at a time and writes down what comes back.
final class TestSocket: Sendable {
    private final class Record: Sendable {
        let sent = Mutex<[Sent]>([])
        let isLost = Mutex<Bool?>(false)
        let timesAsked = Mutex(0)
        let hasCalled = Mutex(false)

        func lost() async -> Bool {
            timesAsked.withLock { $0 += 1 }
            while true {
                if let known = isLost.withLock({ $0 }) { return known }
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    /// Tells when the session has done what the last message asked for: it then wants the next.
    private struct Feed: AsyncSequence, Sendable {
        let messages: AsyncStream<WebSocketConnection.Inbound>
        let wantsNext: AsyncStream<Void>.Continuation

        struct Iterator: AsyncIteratorProtocol {
            var messages: AsyncStream<WebSocketConnection.Inbound>.Iterator
            let wantsNext: AsyncStream<Void>.Continuation

            mutating func next() async -> WebSocketConnection.Inbound? {
                wantsNext.yield()
                return await messages.next()
            }
        }

        func makeAsyncIterator() -> Iterator {
            Iterator(messages: messages.makeAsyncIterator(), wantsNext: wantsNext)
        }
    }

    let user: String
    private let record = Record()
    private let inbound: AsyncStream<WebSocketConnection.Inbound>.Continuation
    private let wantsNext: AsyncStream<Void>
    private let running: Task<Void, Never>

    /// - Parameter tenant: another than the world's own.
    init(_ world: World, _ principal: Principal, run: Int = 501, tenant: Tenant? = nil) async {
        user = principal.id
        let session = SignalingSession(
            client: SignalingSession.Client(
                send: { [record] message, _ in record.sent.withLock { $0.append(Sent(message.text)) } },
                close: { [record] code, reason in
                    record.sent.withLock { $0.append(.close(code: code, reason: reason)) }
                },
                isLost: { [record] in await record.lost() }),
            tenant: tenant ?? world.tenant,
            target: SignalingSession.Target(
                principal: principal, workflowID: World.workflow, workflowRunID: run),
            environment: world.environment, onFirstCall: { [record] in record.hasCalled.withLock { $0 = true } })
        let (messages, inbound) = AsyncStream<WebSocketConnection.Inbound>.makeStream()
        let (wantsNext, continuation) = AsyncStream<Void>.makeStream()
        (self.inbound, self.wantsNext) = (inbound, wantsNext)
        running = Task { await session.run(Feed(messages: messages, wantsNext: continuation)) }
        await untilDone()
    }

    private func untilDone() async {
        for await _ in wantsNext { return }
    }

    /// Whether the client turns out to be gone when it is asked; nil while that is not known.
    func set(isLost: Bool?) {
        record.isLost.withLock { $0 = isLost }
    }

    /// How often the client was asked whether it is there.
    var timesAsked: Int { record.timesAsked.withLock { $0 } }

    /// Whether the socket has shown what it is for.
    var hasCalled: Bool { record.hasCalled.withLock { $0 } }

    /// Everything that has come back.
    var sent: [Sent] { record.sent.withLock { $0 } }

    /// What has come back since it was last taken.
    func take() -> [Sent] {
        record.sent.withLock { sent in
            defer { sent = [] }
            return sent
        }
    }

    /// Hands over one message and returns what came back.
    @discardableResult
    func send(_ text: String) async -> [Sent] { await send(.text(text)) }

    @discardableResult
    func send(_ message: WebSocketConnection.Inbound) async -> [Sent] {
        inbound.yield(message)
        await untilDone()
        return take()
    }

    @discardableResult
    func offer(_ pcID: String, _ sdp: String = "v=0") async -> [Sent] { await send(Self.offer(pcID, sdp)) }

    static func offer(_ pcID: String, _ sdp: String = "v=0", type: String = "offer") -> String {
        #"{"type":"offer","payload":{"pc_id":"\#(pcID)","sdp":"\#(sdp)","type":"\#(type)"}}"#
    }

    static func getStatistics(_ pcID: String) -> String {
        #"{"type":"get-statistics","payload":{"pc_id":"\#(pcID)"}}"#
    }

    /// The client is gone, without a word when `code` is 1006; else the session with all its calls has ended when this
    /// returns.
    @discardableResult
    func close(code: UInt16 = 1001) async -> [Sent] {
        inbound.yield(.closed(code: code, reason: ""))
        await running.value
        return take()
    }
}

extension Principal {
    /// A user of no organisation, known to one auth instance.
    static func user(_ id: String) -> Principal {
        var principal = Principal(id: id)
        principal.authInstance = "door"
        return principal
    }
}
