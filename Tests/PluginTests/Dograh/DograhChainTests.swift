import PatchbayPlugin
import Testing

@testable import DograhQuota

/// The plugin as it is configured, and a service that answers each question in its own way, and for each key.
@Suite("Dograh, over HTTP: one question after another")
struct DograhChainTests {
    private static let services = ["llm", "tts", "stt", "embeddings"]
    private static let nobodyAsks = BillingServer.Behaviour.answers(200, #"{"nobody":"should ask"}"#)

    private static func key(of service: String) -> String { "mps_sk_of_\(service)_alone" }

    private static func left(_ credits: Double) -> BillingServer.Behaviour {
        .answers(200, #"{"total_credits_used":500.0,"remaining_credits":\#(credits)}"#)
    }

    private static func correlation(_ id: String) -> BillingServer.Behaviour {
        .answers(200, #"{"correlation_id":\#(id)}"#)
    }

    private static let allowed = BillingServer.Behaviour.answers(
        200, #"{"allowed":true,"remaining_credits":"499.0","correlation_id":"oss-corr-123"}"#)
    private static let brokenOff = BillingServer.Behaviour.sends("HTTP/1.1 200 OK\r\nContent-Le", then: .close)

    private func quota(_ services: [String], isBilledByRun: Bool, url: String) throws -> DograhQuota {
        let version = isBilledByRun ? "managed_service_version: 2, " : ""
        let models = services.map { name in
            "\(name): { provider: dograh, service_keys: [{ env: \(name.uppercased()) }] }"
        }.joined(separator: ", ")
        let workflows = #"{ "7": { owner: "123", \#(version)\#(models) } }"#
        let directory = #"{ organizations: { "9": { members: ["7"], workflows: \#(workflows) } } }"#
        return try DograhQuota.watched(
            "{ mode: oss, url: '\(url)', timeout: 60s, directory: \(directory) }",
            environment: Dictionary(uniqueKeysWithValues: services.map { ($0.uppercased(), Self.key(of: $0)) }))
    }

    /// What comes of a call, and what the service was asked.
    ///
    /// - Parameters:
    ///   - answers: by the question, or by the question and whose key it is about.
    ///   - services: those that have a key.
    private func outcome(
        _ answers: [String: BillingServer.Behaviour], services: [String] = ["llm"], isBilledByRun: Bool = true
    ) async throws -> (quota: QuotaOutcome, asked: [String]) {
        let server = try await BillingServer { question in
            answers[Self.told(question)] ?? answers[question.name] ?? Self.nobodyAsks
        }
        let quota = try quota(services, isBilledByRun: isBilledByRun, url: server.url)
        try await quota.start()
        let outcome = try await quota.admit(
            CallRequest(
                callID: "one", tenant: "default", principal: Principal(id: "7", organization: "9"), workflowID: 7,
                workflowRunID: 88))
        await quota.stop()
        let asked = server.questions.map(Self.told)
        try await server.stop()
        return (outcome, asked)
    }

    /// Such as `usage/self tts`.
    private static func told(_ question: BillingServer.Question) -> String {
        let service = services.first { key(of: $0) == question.key }
        return "\(question.name) \(service ?? "nobody's")"
    }

    // MARK: - A service that knows no run authorization

    @Test("404 or 405: the key's balance, and then a correlation id of its own", arguments: [404, 405])
    func fallBack(status: Int) async throws {
        let (quota, asked) = try await outcome([
            "run-authorization/self": .answers(status, #"{"detail":"Not Found"}"#), "usage/self": Self.left(5),
            "correlation-id/self": Self.correlation(#""legacy-corr-123""#),
        ])
        #expect(quota.lease?.metadata == ["mps_correlation_id": "legacy-corr-123"])
        #expect(asked == ["run-authorization/self llm", "usage/self llm", "correlation-id/self llm"])
    }

    @Test(
        "in that case a poor key is refused, one that nobody can tell of is not",
        arguments: [
            (left(0.0999), "quota_exceeded"), (.answers(404, ""), "invalid_service_key"),
            (.answers(503, ""), "quota_check_failed"), (brokenOff, nil),
        ] as [(BillingServer.Behaviour, String?)])
    func fallBackBalance(usage: BillingServer.Behaviour, code: String?) async throws {
        let (quota, asked) = try await outcome([
            "run-authorization/self": .answers(404, ""), "usage/self": usage,
            "correlation-id/self": Self.correlation(#""legacy-corr-123""#),
        ])
        #expect(quota.denial?.code == code)
        let asks = ["run-authorization/self llm", "usage/self llm"]
        #expect(asked == (code == nil ? asks + ["correlation-id/self llm"] : asks))
    }

    @Test(
        "the correlation id's endpoint fails in any way: quota_check_failed",
        arguments: [
            .answers(404, ""), .answers(500, ""), .answers(200, ""), .answers(200, "{}"), correlation(#""""#),
            correlation(#""  ""#), correlation("5"), correlation("null"), brokenOff,
        ] as [BillingServer.Behaviour])
    func correlationFails(answer: BillingServer.Behaviour) async throws {
        let (quota, asked) = try await outcome([
            "run-authorization/self": .answers(405, ""), "usage/self": Self.left(5), "correlation-id/self": answer,
        ])
        #expect(quota.denial == .quotaCheckFailed)
        #expect(asked.last == "correlation-id/self llm" && asked.count == 3)
    }

    // MARK: - Several keys

    /// What is said of stt's key, what becomes of the call, and whether embeddings' key is looked at after it.
    private static let saidOfSTT: [(BillingServer.Behaviour, String?, Bool)] = [
        (left(0.10), nil, true), (left(0.0999), "quota_exceeded", false),
        (.answers(404, ""), "invalid_service_key", false), (.answers(503, ""), "quota_check_failed", false),
        (.answers(200, "[]"), "quota_check_failed", false), (brokenOff, nil, false),
    ]

    @Test("further keys are looked at before the run's, until one decides", arguments: saidOfSTT)
    func furtherKeys(stt: BillingServer.Behaviour, code: String?, goesOn: Bool) async throws {
        let answers: [String: BillingServer.Behaviour] = [
            // Nobody looks at what is left for the first key: its run is authorized.
            "usage/self llm": Self.left(0), "usage/self tts": Self.left(5), "usage/self stt": stt,
            "usage/self embeddings": Self.left(5), "run-authorization/self llm": Self.allowed,
        ]
        let (quota, asked) = try await outcome(answers, services: Self.services)
        #expect(quota.denial?.code == code)
        #expect(quota.lease?.metadata == (code == nil ? ["mps_correlation_id": "oss-corr-123"] : nil))
        var expected = ["usage/self tts", "usage/self stt"]
        if goesOn { expected.append("usage/self embeddings") }
        if code == nil { expected.append("run-authorization/self llm") }
        #expect(asked == expected)
    }

    @Test("keys that no run is billed to are each looked at, until one decides", arguments: saidOfSTT)
    func eachKey(stt: BillingServer.Behaviour, code: String?, goesOn: Bool) async throws {
        let answers: [String: BillingServer.Behaviour] = [
            "usage/self llm": Self.left(5), "usage/self tts": Self.left(5), "usage/self stt": stt,
            // Were it looked at where it is not, the call would end otherwise.
            "usage/self embeddings": goesOn ? Self.left(5) : .answers(404, ""),
        ]
        let (quota, asked) = try await outcome(answers, services: Self.services, isBilledByRun: false)
        #expect(quota.denial?.code == code)
        #expect(quota.lease?.metadata == (code == nil ? [:] : nil))
        var expected = ["usage/self llm", "usage/self tts", "usage/self stt"]
        if goesOn { expected.append("usage/self embeddings") }
        #expect(asked == expected)
    }

    // MARK: - Refusals

    @Test(
        "refused for want of credits: in the service's words, where it has some that can be shown; else in ours",
        arguments: [
            (#""allowed":false,"error":"insufficient_credits","message":"Buy more, please.""#, "Buy more, please."),
            (#""allowed":true,"remaining_credits":"0.05","error":"insufficient_credits","message":"Buy.""#, "Buy."),
            (#""allowed":false,"error":"insufficient_credits","message":"Buy\u0000 \u001b[1mmore""#, "Buy [1mmore"),
            (#""allowed":false,"error":"insufficient_credits","message":"  ""#, nil),
            (#""allowed":false,"error":"insufficient_credits","message":5"#, nil),
            (#""allowed":false,"error":"insufficient_credits""#, nil),
            (#""allowed":false,"error":"insufficient_credits","message":"mps_sk_of_llm_alone is empty""#, nil),
        ] as [(String, String?)])
    func insufficient(members: String, words: String?) async throws {
        let (quota, asked) = try await outcome(["run-authorization/self": .answers(200, "{\(members)}")])
        #expect(quota.denial?.code == "insufficient_credits")
        #expect(quota.denial?.message == words ?? Denial.insufficientCredits(saying: nil, hiding: []).message)
        #expect(asked == ["run-authorization/self llm"])
    }

    @Test(
        "refused otherwise, or with too little left: quota_exceeded, and not in the service's words",
        arguments: [
            #""allowed":false,"error":"trial_over","message":"Buy more, please.""#,
            #""allowed":true,"remaining_credits":"0.0999","message":"Buy more, please.""#,
            #""allowed":true,"message":"Buy more, please.""#,
        ])
    func exceeded(members: String) async throws {
        let (quota, asked) = try await outcome(["run-authorization/self": .answers(200, "{\(members)}")])
        #expect(quota.denial == .quotaExceeded)
        #expect(asked == ["run-authorization/self llm"])
    }
}
