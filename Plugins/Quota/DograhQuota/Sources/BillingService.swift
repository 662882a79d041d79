internal import PatchbayPlugin

/// The questions that the billing service answers. Anything but 200 is a failure.
struct BillingService: Sendable {
    /// How many credits a call takes at least.
    static let minimum = 0.1

    /// Without a slash at its end.
    let url: String
    let secretKey: Secret?
    let exchange: BillingExchange

    /// Whether the organisation's account has enough for a run, and where it is billed by run, a correlation id.
    ///
    /// - Parameter serviceKey: where it is billed by run.
    func authorizeAccount(_ known: KnownRun, serviceKey: Secret?) async throws(BillingFailure) -> BillingVerdict {
        let organization = known.workflow.organization
        var headers = ["X-Organization-Id": organization]
        headers["X-Secret-Key"] = secretKey?.withValue { $0 }
        let reply = try await ask(
            .post, "/api/v1/billing/accounts/\(escaped(organization))/run-authorization", headers,
            [
                "workflow_run_id": known.run.map { .integer($0.id) } ?? .null,
                "service_key": serviceKey?.withValue { .string($0) } ?? .null,
                "require_correlation_id": .bool(serviceKey != nil),
                "metadata": ["dograh_user_id": .string(known.owner), "workflow_id": .integer(known.workflow.id)],
                "minimum_credits": .number(Self.minimum),
            ])
        return BillingVerdict(reply)
    }

    /// The same of a service key and a run that is billed as such.
    func authorizeKey(_ key: Secret, run: Run) async throws(BillingFailure) -> BillingVerdict {
        let reply = try await ask(
            .post, "/api/v1/service-keys/run-authorization/self", bearer(key),
            [
                "workflow_run_id": .integer(run.id), "require_correlation_id": true,
                "metadata": ["workflow_id": .integer(run.workflowID)], "minimum_credits": .number(Self.minimum),
            ])
        return BillingVerdict(reply)
    }

    /// What is left for a service key, in credits. Missing is 0; anything but a number is unreadable.
    func balance(of key: Secret) async throws(BillingFailure) -> Double {
        let reply = try await ask(.get, "/api/v1/service-keys/usage/self", bearer(key), nil)
        guard let remaining = reply["remaining_credits"] else { return 0 }
        guard let balance = remaining.double else { throw .unreadable("its remaining_credits are no number") }
        return balance
    }

    /// A correlation id from a billing service that knows no run authorization.
    func correlationID(_ key: Secret, run: Run) async throws(BillingFailure) -> String? {
        try await ask(
            .post, "/api/v1/service-keys/correlation-id/self", bearer(key), ["workflow_run_id": .integer(run.id)]
        )["correlation_id"]?.string
    }

    private func bearer(_ key: Secret) -> [String: String] {
        ["Authorization": key.withValue { "Bearer \($0)" }]
    }

    /// - Returns: an object.
    private func ask(
        _ method: BillingRequest.Method, _ path: String, _ headers: [String: String], _ body: JSONValue?
    ) async throws(BillingFailure) -> JSONValue {
        let request = BillingRequest(
            method: method, url: url + path,
            headers: headers.merging(["Content-Type": "application/json"]) { own, _ in own },
            body: body.map { Array($0.description.utf8) } ?? [])
        let reply: BillingReply
        do {
            reply = try await exchange(request)
        } catch let failure as BillingFailure {
            throw failure
        } catch {
            throw .other("\(error)")
        }
        guard reply.status == 200 else { throw .status(reply.status, body: reply.body) }
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: reply.body)
        } catch {
            throw .unreadable("\(error)")
        }
        guard value.object != nil else { throw .unreadable("it is no JSON object") }
        return value
    }
}

/// A part of a path (RFC 3986 §3.3), everything but unreserved characters escaped.
private func escaped(_ text: String) -> String {
    text.utf8.map { byte in
        let character = Character(Unicode.Scalar(byte))
        if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
            return String(character)
        }
        return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
}

/// What the billing service says to a run.
struct BillingVerdict: Sendable {
    var isAllowed: Bool
    /// In credits; 0 where it is missing or unreadable.
    var balance: Double
    /// A word for why not.
    var error: String?
    /// The same for people.
    var message: String?
    var correlationID: String?

    init(_ reply: JSONValue) {
        isAllowed = reply["allowed"] == .bool(true)
        balance = reply["remaining_credits"].flatMap { $0.double ?? $0.string.flatMap(Double.init(numeral:)) } ?? 0
        error = reply["error"]?.string
        message = reply["message"]?.string
        correlationID = reply["correlation_id"]?.string
    }

    /// Whether the run may start.
    var isEnough: Bool { isAllowed && balance >= BillingService.minimum }
}

extension JSONValue {
    /// A number, whole or not.
    fileprivate var double: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number): number
        case .null, .bool, .string, .array, .object: nil
        }
    }
}

extension Double {
    /// Reads a decimal number with space around it; nil for anything else, infinity among it.
    fileprivate init?(numeral text: String) {
        let trimmed = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        guard let value = Double.decode(String(trimmed)) else { return nil }
        self = value
    }
}
