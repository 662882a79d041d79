internal import Logging
internal import PatchbayPlugin
internal import Synchronization
internal import WebSocket

/// One call's talk with its bot: carries what the caller says to the bot, and does what the dialect makes of its
/// answers.
///
/// A connection that is lost before the bot has said anything is made once more.
final class Conversation: Sendable {
    private struct State {
        var dialect: any Dialect
        var socket: WebSocketConnection?
        /// Where the dialect's sound began, in what was ever played.
        var start = Duration.zero
        var hasPlayed = false
        /// Names of marks that are not settled yet, by number.
        var marks: [Int: String] = [:]
        var lastMark = 0
        /// How many wait for what is played, those among them that were settled otherwise.
        var waitingMarks = 0
        /// Messages with the caller's sound that the bot was too slow to take.
        var dropped = 0
        /// What was said about messages that mean nothing.
        var passedOver: Set<String> = []
    }

    /// How many marks may wait.
    private static let maximumMarks = 1000
    /// How many kinds of messages that mean nothing are told of.
    private static let maximumPassedOver = 16
    /// How long after the bot's loss what it said before is still listened to.
    private static let lastWords = Duration.milliseconds(300)

    private let call: Call
    private let audio: CallAudio
    private let connect: @Sendable (_ within: Duration) async throws -> WebSocketConnection
    private let patience: Duration
    private let hidden: @Sendable (_ words: String) -> String
    private let initialDialect: any Dialect
    private let state: Mutex<State>
    private let marks: AsyncStream<(number: Int, mark: PlaybackMark)>
    private let addMark: AsyncStream<(number: Int, mark: PlaybackMark)>.Continuation
    private let finished: AsyncStream<Void>
    private let finishing: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - connect: makes a connection.
    ///   - patience: how long that may take, both tries together.
    ///   - hidden: makes the bot's words fit for the log.
    init(
        call: Call, audio: CallAudio, dialect: any Dialect,
        connect: @escaping @Sendable (_ within: Duration) async throws -> WebSocketConnection, patience: Duration,
        hidden: @escaping @Sendable (_ words: String) -> String
    ) {
        self.call = call
        self.audio = audio
        self.connect = connect
        self.patience = patience
        self.hidden = hidden
        initialDialect = dialect
        state = Mutex(State(dialect: dialect))
        (marks, addMark) = AsyncStream.makeStream()
        (finished, finishing) = AsyncStream.makeStream()
    }

    /// Whose call it is.
    var tenant: String { call.tenant }

    /// Ends it as if the bot had: what is queued is still heard.
    func finish() {
        finishing.yield()
    }

    /// Returns when the bot is done.
    ///
    /// - Throws: why there is no bot any more; `CancellationError` when the caller has left.
    func run() async throws {
        var tries = Tries(left: 2, deadline: .now + patience)
        let first = try await open(&tries)
        do {
            try await converse(first, tries)
            close(code: 1000, reason: "")
        } catch let fault as DialectFault {
            close(code: 1007, reason: fault.description)
            throw fault
        } catch {
            close(code: 1000, reason: "")
            throw error
        }
    }

    private func close(code: UInt16, reason: String) {
        state.withLock { state in
            if let message = state.dialect.closing() { state.socket?.send(message.wire) }
            state.socket?.startClose(code: code, reason: reason)
            if state.dropped > 0 {
                call.logger.warning(
                    "the bot was too slow to take all that the caller said",
                    metadata: ["frames_dropped": "\(state.dropped)"])
            }
        }
    }

    private func converse(_ first: WebSocketConnection, _ tries: Tries) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [self] in for await frame in audio.input { hear(frame) } }
            group.addTask { [self] in for await key in call.dtmf { tell { $0.pressed(key) } } }
            group.addTask { [self] in for await message in call.messages { tell { $0.said(message) } } }
            group.addTask { [self] in
                for await (number, mark) in marks {
                    settle(number, await mark.outcome)
                    state.withLock { $0.waitingMarks -= 1 }
                }
            }
            group.addTask { [self] in
                for await _ in finished { throw Finished() }
            }
            group.addTask { [self] in
                var (socket, tries) = (first, tries)
                while true {
                    do {
                        try await follow(socket)
                        throw Finished()
                    } catch let loss as BotLost
                        where tries.left > 0 && !loss.isSilence && !state.withLock(\.hasPlayed)
                    {
                        call.logger.warning("bot lost before it spoke; trying again", metadata: ["reason": "\(loss)"])
                        tries.deadline = .now + patience
                        state.withLock { ($0.socket, $0.marks) = (nil, [:]) }
                        socket = try await open(&tries)
                    }
                }
            }
            defer { group.cancelAll() }
            do {
                // The first to end with an error ends it, and that of the caller's frames ends without one.
                while try await group.next() != nil, !Task.isCancelled {}
                throw CancellationError()
            } catch is Finished {}
        }
    }

    /// The bot is done, which is no error.
    private struct Finished: Error {}

    private struct Tries {
        var left: Int
        var deadline: ContinuousClock.Instant
    }

    /// Connects, and says the first words.
    private func open(_ tries: inout Tries) async throws -> WebSocketConnection {
        while true {
            tries.left -= 1
            do {
                let socket = try await connect(ContinuousClock.now.duration(to: tries.deadline))
                let actions = state.withLock { state in
                    state.dialect = initialDialect
                    state.start = audio.output.position
                    let actions = state.dialect.opened()
                    // Nothing that the caller says may come before the first words.
                    for case .send(let message) in actions { socket.send(message.wire) }
                    state.socket = socket
                    return actions
                }
                for case .report(let event) in actions { call.report(event) }
                return socket
            } catch {
                try Task.checkCancellation()
                let pause = Duration.milliseconds(200)
                guard tries.left > 0, .now + pause < tries.deadline else { throw error }
                call.logger.warning("no connection to the bot; trying again", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: pause)
            }
        }
    }

    // MARK: - To the bot

    private func hear(_ frame: PCMFrame) {
        state.withLock { state in
            guard let socket = state.socket, let message = state.dialect.heard(frame) else { return }
            if !socket.send(message.wire, droppable: true) { state.dropped += 1 }
        }
    }

    private func tell(_ message: (inout any Dialect) -> Message?) {
        state.withLock { state in
            if let message = message(&state.dialect) { state.socket?.send(message.wire) }
        }
    }

    private func settle(_ number: Int, _ outcome: MarkOutcome) {
        state.withLock { state in
            guard let name = state.marks.removeValue(forKey: number),
                let message = state.dialect.settled(mark: name, outcome)
            else { return }
            state.socket?.send(message.wire)
        }
    }

    // MARK: - From the bot

    /// Does what the bot says until it is done, or gone.
    private func follow(_ socket: WebSocketConnection) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [self] in
                try await listen(to: socket)
                return true
            }
            // What the bot is ahead of the caller's ear does not hide that it is gone; but its last words are looked at.
            group.addTask { [self] in
                guard case .closed(let code, let reason)? = await socket.loss() else { return false }
                try await Task.sleep(for: Self.lastWords)
                throw BotLost(code: code, reason: hidden(reason))
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next(), !isOver {}
        }
    }

    private func listen(to socket: WebSocketConnection) async throws {
        for await message in socket.inbound {
            // While there is always another, nothing else here suspends: other calls' pipelines want the thread too.
            if socket.inbound.areWaiting { await Task.yield() }
            let received: Message
            switch message {
            case .text(let text): received = .text(text)
            case .binary(let bytes): received = .binary(bytes)
            case .closed(let code, let reason):
                if [1000, 1005].contains(code) { return }
                throw BotLost(code: code, reason: hidden(reason))
            }
            let actions = try state.withLock { state throws(DialectFault) in try state.dialect.received(received) }
            guard try await perform(actions) else { return }
        }
        throw CancellationError()
    }

    /// - Returns: whether the bot has more to say.
    private func perform(_ actions: [Action]) async throws -> Bool {
        for action in actions {
            switch action {
            case .send(let message): state.withLock { _ = $0.socket?.send(message.wire) }
            case .play(let samples, let rate):
                if samples.isEmpty { continue }
                state.withLock { $0.hasPlayed = true }
                try await audio.output.play(PCMFrame(samples, sampleRate: rate))
            case .mark(let name): try mark(name)
            case .clear: clear()
            case .forgetMarks: forgetMarks()
            case .report(let event): call.report(event)
            case .forward(let message): call.send(message)
            case .hangUp: return false
            case .passOver(let what): passOver(what)
            }
        }
        return true
    }

    /// Each kind is told of once, to whoever looks for why a bot's message does nothing.
    private func passOver(_ what: String) {
        guard state.withLock({ $0.passedOver.count < Self.maximumPassedOver }) else { return }
        // A secret that was cut in two would not be found.
        let what = String(hidden(what).prefix(80))
        if state.withLock({ $0.passedOver.insert(what).inserted }) {
            call.logger.debug("what the bot said means nothing here", metadata: ["message": "\(what)"])
        }
    }

    private func mark(_ name: String) throws(DialectFault) {
        let number = try state.withLock { state throws(DialectFault) in
            guard state.waitingMarks < Self.maximumMarks else {
                throw DialectFault("over \(Self.maximumMarks) marks wait for what is played")
            }
            state.waitingMarks += 1
            state.lastMark += 1
            state.marks[state.lastMark] = name
            return state.lastMark
        }
        addMark.yield((number, audio.output.mark()))
    }

    /// Their outcome is told at once, and not again when it is known.
    private func forgetMarks() {
        let numbers = state.withLock { $0.marks.keys.sorted() }
        for number in numbers { settle(number, .cleared) }
    }

    private func clear() {
        let wasPlaying = audio.output.isPlaying
        state.withLock { state in
            let position = audio.output.clear(since: state.start)
            for message in state.dialect.cleared(at: position) { state.socket?.send(message.wire) }
        }
        if wasPlaying { call.report(.interrupted) }
    }
}

/// A connection that ended otherwise than by the bot's saying so.
struct BotLost: Error, CustomStringConvertible {
    var code: UInt16
    var reason: String

    /// It is still there, as far as anybody knows, and says nothing: asking again would be no better.
    var isSilence: Bool { code == 1006 && !reason.isEmpty }

    var description: String {
        (code == 1006 ? "the bot is gone" : "the bot's socket was closed with \(code)")
            + (reason.isEmpty ? "" : ": \(reason)")
    }
}

extension Message {
    fileprivate var wire: WebSocketConnection.Message {
        switch self {
        case .text(let text): .text(text)
        case .binary(let bytes): .binary(bytes)
        }
    }
}
