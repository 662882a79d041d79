internal import FoundationEssentials
public import PatchbayPlugin
internal import Synchronization

/// Calls that a bot may hang up by name. One for all instances: a call outlives its own when that is changed by a reload.
final class LiveCalls: Sendable {
    static let shared = LiveCalls()

    private struct Entry {
        var conversation: Conversation
        var account: String
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// - Parameter account: nil where no bot may hang up in this way.
    func add(_ id: String, _ conversation: Conversation, account: String?) {
        guard let account else { return }
        entries.withLock { $0[id] = Entry(conversation: conversation, account: account) }
    }

    func remove(_ id: String) {
        entries.withLock { _ = $0.removeValue(forKey: id) }
    }

    /// - Returns: whether there is such a call.
    func finish(twilioID: String, tenant: String, account: String) -> Bool {
        let conversation = entries.withLock { entries in
            entries.first { id, entry in
                TwilioDialect.callID(id) == twilioID && entry.account == account && entry.conversation.tenant == tenant
            }?.value.conversation
        }
        conversation?.finish()
        return conversation != nil
    }
}

/// As much of Twilio's REST API as a bot needs to end its call: <https://www.twilio.com/docs/voice/api/call-resource>.
extension WebSocketPipeline: RouteProvider {
    /// Whose calls may be hung up.
    var account: String? {
        settings.dialect == .twilio && settings.twilio?.authToken != nil ? settings.twilio?.accountSid : nil
    }

    /// None unless the dialect is `twilio` and has an `auth_token`.
    public var routes: [Route] {
        guard let account, let secret = settings.twilio?.authToken else { return [] }
        return [
            Route(.post, "/2010-04-01/Accounts/\(account)/Calls/{call}") { request in
                hangUp(request, account: account, secret: secret)
            }
        ]
    }

    private func hangUp(_ request: RouteRequest, account: String, secret: Secret) -> RouteResponse {
        let credentials = secret.withValue { "Basic " + Base64.text(Array("\(account):\($0)".utf8)) }
        guard isSame(request.headers["authorization"] ?? "", credentials) else {
            return Self.failure(401, code: 20_003, "Authenticate")
        }
        guard let name = request.parameters["call"], name.hasSuffix(".json") else {
            return Self.failure(404, code: 20_404, "The requested resource was not found")
        }
        let fields = String(decoding: request.body, as: UTF8.self).split(separator: "&")
        guard fields.contains(where: { $0 == "Status=completed" || $0 == "Status=canceled" }) else {
            return Self.failure(400, code: 21_220, "Only Status=completed can be asked for")
        }
        let id = String(name.dropLast(".json".count))
        guard LiveCalls.shared.finish(twilioID: id, tenant: request.tenant, account: account) else {
            return Self.failure(404, code: 20_404, "The requested resource was not found")
        }
        return RouteResponse(
            status: 200, json: ["sid": .string(id), "account_sid": .string(account), "status": "completed"])
    }

    private static func failure(_ status: Int, code: Int, _ message: String) -> RouteResponse {
        RouteResponse(
            status: status, json: ["status": .integer(status), "code": .integer(code), "message": .string(message)],
            headers: status == 401 ? ["www-authenticate": "Basic realm=\"Patchbay\""] : [:])
    }

    /// In a time that does not tell how much of it is right.
    private func isSame(_ given: String, _ wanted: String) -> Bool {
        let (given, wanted) = (Array(given.utf8), Array(wanted.utf8))
        guard given.count == wanted.count else { return false }
        return zip(given, wanted).reduce(0) { $0 | $1.0 ^ $1.1 } == 0
    }
}
