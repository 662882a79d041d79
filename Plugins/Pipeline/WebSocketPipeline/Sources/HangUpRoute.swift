internal import FoundationEssentials
public import PatchbayPlugin
internal import Synchronization

/// Calls that a bot may hang up by name.
final class LiveCalls: Sendable {
    private let conversations = Mutex<[String: Conversation]>([:])

    func add(_ id: String, _ conversation: Conversation) {
        conversations.withLock { $0[id] = conversation }
    }

    func remove(_ id: String) {
        conversations.withLock { _ = $0.removeValue(forKey: id) }
    }

    /// - Returns: whether there is such a call.
    func finish(twilioID: String, tenant: String) -> Bool {
        let conversation = conversations.withLock { conversations in
            conversations.first { TwilioDialect.callID($0.key) == twilioID && $0.value.tenant == tenant }?.value
        }
        conversation?.finish()
        return conversation != nil
    }
}

/// As much of Twilio's REST API as a bot needs to end its call: <https://www.twilio.com/docs/voice/api/call-resource>.
extension WebSocketPipeline: RouteProvider {
    /// None unless the dialect is `twilio` and has an `auth_token`.
    public var routes: [Route] {
        guard settings.dialect == .twilio, let twilio = settings.twilio, let secret = twilio.authToken else {
            return []
        }
        let account = twilio.accountSid
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
        guard calls.finish(twilioID: id, tenant: request.tenant) else {
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
