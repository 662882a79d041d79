import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import PatchbayPlugin
import Testing

@testable import DograhQuota

/// The plugin as it is configured, and a server that does what a billing service may do.
@Suite("Dograh, over HTTP")
struct DograhTransportTests {
    /// What a service may be asked about, and how it is configured.
    enum Question: String, CaseIterable, CustomTestStringConvertible {
        case hostedByRun = "hosted, billed by run"
        case hostedOtherwise = "hosted, not billed by run"
        case balance = "self-hosted, the balance of a key"
        case selfHostedByRun = "self-hosted, billed by run"
        var testDescription: String { rawValue }

        fileprivate var mode: String { self == .hostedByRun || self == .hostedOtherwise ? "hosted" : "oss" }
        fileprivate var isBilledByRun: Bool { self == .hostedByRun || self == .selfHostedByRun }
        /// Whether a call goes on when nobody can be asked.
        fileprivate var failsOpen: Bool { !isBilledByRun }
    }

    private static let good = #"{"allowed":true,"remaining_credits":5,"correlation_id":"c-1"}"#

    private func quota(_ question: Question, url: String, timeout: String? = nil) throws -> DograhQuota {
        let yaml = """
            mode: \(question.mode)
            url: \(url)
            \(timeout.map { "timeout: \($0)" } ?? "")
            secret_key: { env: SECRET }
            directory:
              organizations:
                "9":
                  members: ["7"]
                  workflows:
                    "7":
                      owner: "123"
                      \(question.isBilledByRun ? "managed_service_version: 2" : "")
                      llm: { provider: dograh, service_keys: [{ env: KEY }] }
                      tts: { provider: other, service_keys: [{ env: OTHER }] }

            """
        return try DograhQuota.watched(
            yaml,
            environment: [
                "SECRET": "s3cret-of-the-gateway", "KEY": "mps_sk_1f0c9d8e7b6a", "OTHER": "sk-other-than-dograhs",
            ])
    }

    private func request(_ call: String = "one") -> CallRequest {
        CallRequest(
            callID: call, tenant: "default", principal: Principal(id: "7", organization: "9"), workflowID: 7,
            workflowRunID: 88)
    }

    private func answer(_ question: Question, url: String, timeout: String? = nil) async throws -> QuotaOutcome {
        let quota = try quota(question, url: url, timeout: timeout)
        try await quota.start()
        do {
            let outcome = try await quota.admit(request())
            await quota.stop()
            return outcome
        } catch {
            await quota.stop()
            throw error
        }
    }

    private func answer(
        _ question: Question, _ behaviour: BillingServer.Behaviour, timeout: String? = nil
    ) async throws -> QuotaOutcome {
        let server = try await BillingServer(behaviour)
        let outcome = try await answer(question, url: server.url, timeout: timeout)
        try await server.stop()
        return outcome
    }

    @Test("200: allowed, with the correlation id in the lease", arguments: Question.allCases)
    func allowed(question: Question) async throws {
        let lease = try #require(try await answer(question, .answers(200, Self.good)).lease)
        #expect(lease.id == "one")
        #expect(lease.timeToLive == nil && lease.maximumDuration == nil)
        #expect(lease.metadata == (question == .balance ? [:] : ["mps_correlation_id": "c-1"]))
    }

    @Test(
        "the balance is a number, or text that is one where runs are authorized",
        arguments: [
            ("5", true, true), ("0.10", true, true), ("0.0999", false, false), (#""0.10""#, true, false),
            (#""0.0999""#, false, false), (#""25.0000""#, true, false), (#""abc""#, false, false),
            ("null", false, false),
        ], Question.allCases)
    func balance(row: (balance: String, ofRuns: Bool, ofKeys: Bool), question: Question) async throws {
        let body = #"{"allowed":true,"remaining_credits":\#(row.balance),"correlation_id":"c-1"}"#
        let outcome = try await answer(question, .answers(200, body))
        #expect((outcome.lease != nil) == (question == .balance ? row.ofKeys : row.ofRuns))
    }

    @Test(
        "no answer: a call goes on that is not billed by its run, any other is refused",
        arguments: [
            .sends("", then: .close), .sends("", then: .reset), .sends("HTTP/1.1 200 OK\r\nContent-Le", then: .close),
            .sends("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"allowed\":true,", then: .reset),
            .sends("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"allowed\":true,", then: .close),
            .sends("220 mail.example.org ESMTP\r\n", then: .close),
        ] as [BillingServer.Behaviour], Question.allCases)
    func noAnswer(behaviour: BillingServer.Behaviour, question: Question) async throws {
        let outcome = try await answer(question, behaviour)
        #expect(outcome.denial == (question.failsOpen ? nil : .quotaCheckFailed))
        #expect(outcome.lease?.metadata == (question.failsOpen ? [:] : nil))
    }

    @Test("nobody listens: the same, and at once", arguments: Question.allCases)
    func refused(question: Question) async throws {
        let clock = ContinuousClock()
        let begin = clock.now
        let outcome = try await answer(question, url: "http://127.0.0.1:1")
        #expect(outcome.denial == (question.failsOpen ? nil : .quotaCheckFailed))
        #expect(clock.now - begin < .seconds(5))
    }

    @Test(
        "too late, with the head or in the body: the same, when the time is over",
        arguments: [
            .sends("", then: .silence),
            .sends("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"allowed\":true,", then: .silence),
        ] as [BillingServer.Behaviour], Question.allCases)
    func late(behaviour: BillingServer.Behaviour, question: Question) async throws {
        let clock = ContinuousClock()
        let begin = clock.now
        let outcome = try await answer(question, behaviour, timeout: "300ms")
        #expect(outcome.denial == (question.failsOpen ? nil : .quotaCheckFailed))
        #expect((.milliseconds(250) ... .seconds(6)).contains(clock.now - begin))
    }

    @Test(
        "a whole answer 11 s later: the same, after the 10 s that the settings have unless they say otherwise",
        .timeLimit(.minutes(1)), arguments: Question.allCases)
    func muchTooLate(question: Question) async throws {
        // Were it read, each would end otherwise: what goes on unchecked would have an id, or be refused for want of money.
        let body = question == .balance ? #"{"allowed":true,"remaining_credits":0}"# : Self.good
        let clock = ContinuousClock()
        let begin = clock.now
        let outcome = try await answer(question, .answers(200, body, after: .seconds(11)))
        #expect(outcome.denial == (question.failsOpen ? nil : .quotaCheckFailed))
        #expect(outcome.lease?.metadata == (question.failsOpen ? [:] : nil))
        #expect((.milliseconds(9_900) ... .seconds(13)).contains(clock.now - begin))
    }

    @Test(
        "an answer that is no verdict: refused",
        arguments: [
            (
                .answers(403, #"{"detail":"Service key organization mismatch"}"#), "service_key_org_mismatch",
                "quota_check_failed"
            ),
            (.answers(403, #"{"detail":"Forbidden"}"#), "quota_check_failed", "quota_check_failed"),
            (.answers(404, #"{"detail":"Not Found"}"#), "quota_check_failed", "invalid_service_key"),
            (.answers(405, "{}"), "quota_check_failed", "quota_check_failed"),
            (.answers(500, "oh"), "quota_check_failed", "quota_check_failed"),
            (.answers(503, ""), "quota_check_failed", "quota_check_failed"),
            (.answers(200, #"{"allowed":true,"#), "quota_check_failed", "quota_check_failed"),
            (.answers(200, "<html></html>"), "quota_check_failed", "quota_check_failed"),
            (.answers(200, String(repeating: " ", count: 70_000) + "{}"), "quota_check_failed", "quota_check_failed"),
        ] as [(BillingServer.Behaviour, String, String)], Question.allCases)
    func noVerdict(
        row: (behaviour: BillingServer.Behaviour, hosted: String, key: String), question: Question
    ) async throws {
        let outcome = try await answer(question, row.behaviour)
        let expected =
            switch question {
            case .hostedByRun, .hostedOtherwise: row.hosted
            case .balance: row.key
            // Asked about the key when there is no such question, and there the same answer comes.
            case .selfHostedByRun: [404, 405].contains(status(row.behaviour)) ? row.key : "quota_check_failed"
            }
        #expect(outcome.denial?.code == expected)
    }

    private func status(_ behaviour: BillingServer.Behaviour) -> Int {
        if case .answers(let status, _, _, _) = behaviour { status } else { 0 }
    }

    @Test("a redirect is not followed, wherever it leads", arguments: [301, 302, 307, 308])
    func redirect(status: Int) async throws {
        let other = try await BillingServer(.answers(200, Self.good))
        let server = try await BillingServer(.answers(status, "", fields: ["Location: \(other.url)/"]))
        for question in Question.allCases {
            #expect(try await answer(question, url: server.url).denial == .quotaCheckFailed)
        }
        #expect(other.received.isEmpty && server.received.count == Question.allCases.count)
        try await server.stop()
        try await other.stop()
    }

    @Test("what is asked arrives, and no keys of others")
    func request() async throws {
        let server = try await BillingServer(.answers(200, Self.good))
        for question in Question.allCases { _ = try await answer(question, url: server.url + "/base/") }
        let received = server.received
        try #require(received.count == 4)
        #expect(received[0].hasPrefix("POST /base/api/v1/billing/accounts/9/run-authorization HTTP/1.1\r\n"))
        #expect(received[2].hasPrefix("GET /base/api/v1/service-keys/usage/self HTTP/1.1\r\n"))
        #expect(received[3].hasPrefix("POST /base/api/v1/service-keys/run-authorization/self HTTP/1.1\r\n"))
        let fields = received.map { $0.lowercased() }
        #expect(
            fields.map { $0.contains("\r\nx-secret-key: s3cret-of-the-gateway\r\n") } == [true, true, false, false])
        #expect(fields.map { $0.contains("\r\nx-organization-id: 9\r\n") } == [true, true, false, false])
        #expect(
            fields.map { $0.contains("\r\nauthorization: bearer mps_sk_1f0c9d8e7b6a\r\n") } == [
                false, false, true, true,
            ])
        #expect(fields.allSatisfy { $0.contains("\r\ncontent-type: application/json\r\n") })
        let body = try #require(received[3].split(separator: "\r\n\r\n").last)
        #expect(
            body
                == #"{"metadata":{"workflow_id":7},"minimum_credits":0.1,"require_correlation_id":true,"workflow_run_id":88}"#
        )
        #expect(received.allSatisfy { !$0.contains("sk-other") })
        try await server.stop()
    }

    @Test("forty who wait for a slow service wait at the same time, and a stop ends their waiting")
    func atTheSameTime() async throws {
        let server = try await BillingServer(.sends("", then: .silence))
        let quota = try quota(.hostedByRun, url: server.url, timeout: "500ms")
        try await quota.start()
        let clock = ContinuousClock()
        let begin = clock.now
        let denied = try await withThrowingTaskGroup(of: Bool.self) { group in
            for call in 0..<40 {
                group.addTask { try await quota.admit(request("\(call)")).denial == .quotaCheckFailed }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(denied == 40)
        #expect(clock.now - begin < .seconds(8))
        await quota.stop()

        let patient = try self.quota(.hostedByRun, url: server.url, timeout: "60s")
        try await patient.start()
        async let waiting = patient.admit(request())
        while server.received.count < 41 { try await Task.sleep(for: .milliseconds(10)) }
        await patient.stop()
        #expect(try await waiting.denial == .quotaCheckFailed)
        #expect(clock.now - begin < .seconds(20))
        try await server.stop()
    }

    @Test("before its start and after its stop nobody is asked, and no call is admitted unchecked")
    func notStarted() async throws {
        let quota = try quota(.hostedOtherwise, url: "http://127.0.0.1:1")
        #expect(try await quota.admit(request()).denial == .quotaCheckFailed)
        try await quota.start()
        await quota.stop()
        #expect(try await quota.admit(request()).denial == .quotaCheckFailed)
    }

    @Test(
        "a time-out, a network error, HTTP that is none and a failing proxy are no answer",
        arguments: [
            HTTPClientError.deadlineExceeded, HTTPClientError.connectTimeout, HTTPClientError.readTimeout,
            HTTPClientError.writeTimeout, HTTPClientError.remoteConnectionClosed, HTTPClientError.invalidProxyResponse,
            HTTPClientError.proxyAuthenticationRequired, IOError(errnoCode: 104, reason: "read"), ChannelError.eof,
            HTTPParserError.invalidEOFState,
        ] as [any Error])
    func noAnswer(error: any Error) {
        #expect(BillingFailure(error).isTransport)
    }

    @Test(
        "an address that is none, an answer that is too long and all else are not",
        arguments: [
            HTTPClientError.unsupportedScheme("ftp"), HTTPClientError.invalidURL, HTTPClientError.emptyHost,
            HTTPClientError.cancelled, HTTPClientError.alreadyShutdown, NIOTooManyBytesError(maxBytes: 5),
            CancellationError(), Unreachable(),
        ] as [any Error])
    func otherwise(error: any Error) {
        #expect(!BillingFailure(error).isTransport)
    }

    @Test("a key that HTTP cannot carry is refused, and not shown")
    func unfitKey() {
        let failure = BillingFailure(HTTPClientError.invalidHeaderFieldValues(["Bearer mps_sk_1\n"]))
        #expect(!failure.isTransport && !"\(failure)".contains("mps_sk_1"))
    }
}
