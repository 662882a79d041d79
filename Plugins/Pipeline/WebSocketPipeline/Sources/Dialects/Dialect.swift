internal import PatchbayPlugin

/// How a kind of bot speaks over its WebSocket: a pure codec, with a value of its own for each connection.
///
/// The conversation asks it what to send, and does what it says. It knows no clock and no socket; sound is at the
/// rates of its `audio`. A new dialect is a type like this and a case of ``DialectKind``.
protocol Dialect: Sendable {
    /// The connection is open: the first words.
    mutating func opened() -> [Action]

    /// 20 ms of the caller's voice; nil where the bot is not to have them.
    mutating func heard(_ frame: PCMFrame) -> Message?

    /// The caller pressed a key.
    mutating func pressed(_ key: Character) -> Message?

    /// The caller's client sent a message of its own.
    mutating func said(_ message: JSONValue) -> Message?

    /// The bot said something.
    ///
    /// - Throws: what no bot of this dialect says; the call then ends.
    mutating func received(_ message: Message) throws(DialectFault) -> [Action]

    /// The playing of everything before the mark is over.
    mutating func settled(mark name: String, _ outcome: MarkOutcome) -> Message?

    /// What was queued has been dropped.
    ///
    /// - Parameter position: how much of all that was ever asked to be played, in the order it was asked, had been
    ///   played or dropped earlier.
    mutating func cleared(at position: Duration) -> [Message]

    /// The caller has left: the last words.
    mutating func closing() -> Message?
}

extension Dialect {
    mutating func pressed(_ key: Character) -> Message? { nil }
    mutating func said(_ message: JSONValue) -> Message? { nil }
    mutating func settled(mark name: String, _ outcome: MarkOutcome) -> Message? { nil }
    mutating func cleared(at position: Duration) -> [Message] { [] }
    mutating func closing() -> Message? { nil }
}

/// A WebSocket message, whole.
enum Message: Sendable, Hashable {
    case text(String)
    case binary([UInt8])

    /// JSON text.
    static func json(_ value: JSONValue) -> Message { .text(value.description) }

    /// The object that a text message is.
    func object() throws(DialectFault) -> JSONValue {
        guard case .text(let text) = self else { throw DialectFault("a message is binary") }
        do throws(JSONError) {
            let value = try JSONValue(parsing: text, maximumDepth: 64)
            guard case .object = value else { throw JSONError.syntax(offset: 0) }
            return value
        } catch {
            throw DialectFault("a message is no JSON object: \(error)")
        }
    }
}

extension JSONValue {
    /// The number; nil for any other value.
    var double: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number): number
        case .null, .bool, .string, .array, .object: nil
        }
    }
}

extension Duration {
    /// Rounded down.
    var wholeMilliseconds: Int {
        Int(clamping: components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}

/// What a dialect wants done, in the order it says.
enum Action: Sendable, Hashable {
    case send(Message)
    /// Samples of one channel, at this rate.
    case play([Int16], rate: Int)
    /// Tell `settled` when everything before it was played, or dropped.
    case mark(String)
    /// Drop what is queued, and tell `cleared`.
    case clear
    /// Settle all marks as dropped, and play on.
    case forgetMarks
    case report(CallEvent)
    /// A message to the caller's client.
    case forward(JSONValue)
    /// The bot is done; what is queued is still played.
    case hangUp
    /// Nothing, for the bot said something that means nothing here: what that was.
    case passOver(String)
}

/// What a bot said that its dialect does not have.
struct DialectFault: Error, Hashable, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// What a dialect tells the bot about the call.
struct CallFacts: Sendable, Hashable {
    var callID: String
    var tenant: String
    var userID: String
    var workflowID: Int
    var workflowRunID: Int
    /// What the client and the credential said, and what the quotas added.
    var variables: [String: JSONValue]

    init(_ call: Call) {
        self.init(
            callID: call.id, tenant: call.tenant, userID: call.principal.id, workflowID: call.workflowID,
            workflowRunID: call.workflowRunID,
            variables: call.leaseMetadata.mapValues(JSONValue.string)
                .merging(call.contextVariables) { fromQuota, _ in fromQuota })
    }

    init(
        callID: String, tenant: String, userID: String, workflowID: Int, workflowRunID: Int,
        variables: [String: JSONValue]
    ) {
        self.callID = callID
        self.tenant = tenant
        self.userID = userID
        self.workflowID = workflowID
        self.workflowRunID = workflowRunID
        self.variables = variables
    }
}
