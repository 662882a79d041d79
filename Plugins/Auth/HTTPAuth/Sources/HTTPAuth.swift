package import OutboundHTTP
public import PatchbayPlugin

/// Asks an HTTP endpoint of the deployer's own who the caller is.
///
/// Passes when there is neither a bearer token nor an API key, without asking. Throws when the endpoint does not answer, or
/// not in one of the ways it is to: nobody can tell then, and the caller is not let in.
public struct HTTPAuth: AuthPlugin {
    public static let type = "http"
    public static let summary = "Asks an HTTP endpoint of yours who the caller is."

    /// Sends a question, as JSON, with header fields; what `OutboundHTTP` does.
    package typealias Ask =
        @Sendable (_ json: String, _ endpoint: HTTPEndpoint, _ headers: [String: String], _ timeout: Duration)
        async throws -> HTTPReply

    /// The longest answer that is read, in bytes.
    static let longestAnswer = 16_384

    private let endpoint: HTTPEndpoint
    private let headers: [String: String]
    /// Among the header fields.
    private let secrets: [Secret]
    private let timeout: Duration
    private let cache: AnswerCache
    private let limits: QuestionLimits
    private let wallClock: @Sendable () -> Duration
    private let ask: Ask

    /// Makes the plugin.
    ///
    /// - Throws: a ``SettingsFault`` for a URL that secrets must not be sent to, and header fields that cannot be sent.
    public init(settings: Settings, context: PluginContext) throws {
        try self.init(settings: settings, context: context) { json, endpoint, headers, timeout in
            try await OutboundHTTP.post(
                json, to: endpoint, headers: headers, within: timeout, limit: Self.longestAnswer)
        }
    }

    /// Makes the plugin with an endpoint of the test's own.
    package init(settings: Settings, context: PluginContext, ask: @escaping Ask) throws {
        do throws(HTTPEndpointError) {
            endpoint = try HTTPEndpoint(settings.url.text)
        } catch {
            throw SettingsFault(error.description, field: "url")
        }
        headers = try settings.makeHeaders()
        secrets = settings.secretHeaders.values + secretParameters(ofURL: settings.url.text)
        timeout = settings.timeout
        cache = AnswerCache(lifetime: settings.cache)
        limits = QuestionLimits(atOnce: settings.questionsAtOnce, refusalsPerMinute: settings.refusalsPerAddress)
        wallClock = context.wallClock
        self.ask = ask
    }

    public func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard request.bearerToken != nil || request.apiKey != nil else { return .pass }
        let question = Self.question(request)
        let now = wallClock()
        let answer: Answer
        if let known = cache.answer(to: question, now: now) {
            answer = known
        } else {
            let asker = QuestionLimits.Asker(
                tenant: request.tenant, network: request.remoteNetwork, tenantCount: request.tenantCount)
            guard limits.enter(asker, now: now) else { return .reject(.tooManyRequests) }
            defer { limits.leave(asker) }
            answer = try await self.answer(to: question)
            if case .reject = answer { limits.countRefusal(asker, now: wallClock()) }
            cache.keep(answer, to: question, now: now)
        }
        switch answer {
        case .pass: return .pass
        case .reject(let code, let message):
            let words = message.flatMap { Answer.sentence(hidden($0, request)) }
            return .reject(Self.denial(of: request, code: code, message: words))
        case .accept(let principal):
            if let expires = principal.expires, wallClock() >= expires { return .reject(Self.denial(of: request)) }
            return .accept(principal)
        }
    }

    private func answer(to question: String) async throws(HTTPAuthError) -> Answer {
        let reply: HTTPReply
        do {
            reply = try await ask(question, endpoint, headers, timeout)
        } catch {
            throw HTTPAuthError(origin: endpoint.origin, fault: .noReply("\(error)"))
        }
        do throws(AnswerFault) {
            return try Answer(reply)
        } catch {
            throw HTTPAuthError(origin: endpoint.origin, fault: error)
        }
    }

    /// What is asked: all that the endpoint may decide by. What is not there is null.
    private static func question(_ request: ConnectRequest) -> String {
        func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
        func number(_ number: Int?) -> JSONValue { number.map(JSONValue.integer) ?? .null }
        let question: JSONValue = [
            "tenant": .string(request.tenant), "token": text(request.bearerToken), "api_key": text(request.apiKey),
            "origin": text(request.origin.isEmpty ? nil : request.origin), "workflow_id": number(request.workflowID),
            "workflow_run_id": number(request.workflowRunID),
            "remote_address": text(request.remoteAddress.isEmpty ? nil : request.remoteAddress),
        ]
        return question.description
    }

    /// What the endpoint says is for the log. It may say what it was asked with.
    private func hidden(_ words: String, _ request: ConnectRequest) -> String {
        let shown = [request.bearerToken, request.apiKey].compactMap(\.self).map { Secret($0) }
        return (secrets + shown).reduce(words) { words, secret in secret.hidden(in: words) }
    }

    /// The words that are usual for such a credential, unless the endpoint has its own.
    private static func denial(of request: ConnectRequest, code: String? = nil, message: String? = nil) -> Denial {
        let isKey = request.apiKey != nil
        return Denial(
            code: code ?? (isKey ? "invalid_api_key" : "invalid_token"),
            message: message ?? (isKey ? "Invalid or expired API key" : "Invalid or expired token"))
    }
}

/// Nobody can tell who the caller is.
struct HTTPAuthError: Error, CustomStringConvertible {
    let origin: String
    let fault: AnswerFault

    var description: String { "cannot tell who is calling: \(origin) \(fault)" }
}
