import PatchbayPlugin
import Testing

@testable import DograhQuota

/// dograh-wire's table of self-hosted deployments.
@Suite("Dograh, self-hosted")
struct DograhSelfHostedTests {
    private static let usage = "service-keys/usage/self"
    private static let authorization = "service-keys/run-authorization/self"
    private static let correlation = "service-keys/correlation-id/self"

    private func fixture(_ configuration: ModelConfiguration, _ answers: [String: BillingAnswer]) -> DograhFixture {
        var fixture = DograhFixture(.oss)
        fixture.known.configuration = configuration
        fixture.answers = answers
        return fixture
    }

    private static func left(_ balance: JSONValue) -> BillingAnswer {
        .ok(["total_credits_used": 500.0, "remaining_credits": balance])
    }

    private static func verdict(_ changes: [String: JSONValue?] = [:]) -> BillingAnswer {
        var body: [String: JSONValue] = [
            "allowed": true, "remaining_credits": "499.0", "correlation_id": "oss-corr-123",
        ]
        for (name, value) in changes { body[name] = value }
        return .ok(.object(body))
    }

    // MARK: - Balances of keys

    @Test("no run to be billed and no keys of Dograh's: allowed, and nobody is asked", arguments: [true, false])
    func foreignKeys(hasRun: Bool) async {
        var fixture = fixture(hasRun ? .foreign : .keyless, [:])
        if !hasRun { fixture.start.runID = nil }
        let outcome = await fixture.outcome()
        #expect(outcome.denial == nil && outcome.requests.isEmpty)
    }

    @Test("no run to be billed, with keys of Dograh's: each is looked at once", arguments: [true, false])
    func eachKey(hasRun: Bool) async {
        var fixture = fixture(
            hasRun ? .unmanaged("a", "b", "a") : .managed("a", "b", "a"), ["usage/self": Self.left(5)])
        if !hasRun { fixture.start.runID = nil }
        let outcome = await fixture.outcome()
        #expect(outcome.denial == nil && outcome.correlationID == nil)
        #expect(outcome.paths == [Self.usage, Self.usage])
        #expect(outcome.requests.map { $0.headers["Authorization"] } == ["Bearer a", "Bearer b"])
    }

    @Test(
        "less than 0.10 left, or nothing said about it: quota_exceeded",
        arguments: [0, 0.0, 0.0999, -3, nil] as [JSONValue?])
    func exceeded(balance: JSONValue?) async {
        let answer = balance.map(Self.left) ?? .ok(["total_credits_used": 500.0])
        let outcome = await fixture(.unmanaged("a", "b"), ["usage/self": answer]).outcome()
        #expect(outcome.denial?.code == "quota_exceeded")
        #expect(outcome.denial?.message.contains("app.dograh.com") == true)
        #expect(outcome.denial?.message.contains("/billing") == false)
        #expect(outcome.requests.count == 1)
    }

    @Test("0.10 or more left: allowed", arguments: [0.10, 1, 499.5] as [JSONValue])
    func enough(balance: JSONValue) async {
        #expect(await fixture(.unmanaged("a"), ["usage/self": Self.left(balance)]).outcome().denial == nil)
    }

    @Test("what is left is no number: quota_check_failed", arguments: ["5.0", .null, "abc", true, [5]] as [JSONValue])
    func noNumber(balance: JSONValue) async {
        let outcome = await fixture(.unmanaged("a"), ["usage/self": Self.left(balance)]).outcome()
        #expect(outcome.denial == .quotaCheckFailed)
    }

    @Test("no answer about any key: allowed at once, and the other keys are not looked at")
    func unreachable() async {
        let outcome = await fixture(.unmanaged("a", "b"), ["usage/self": .unreachable]).outcome()
        #expect(outcome.denial == nil && outcome.requests.count == 1)
    }

    @Test(
        "an error that speaks of 404 or not found: invalid_service_key",
        arguments: [
            .status(404, ""), .status(404, #"{"detail":"Service key not found"}"#), .status(400, "key NOT FOUND"),
            .status(500, "upstream said 404"),
        ] as [BillingAnswer])
    func notFound(answer: BillingAnswer) async {
        #expect(await fixture(.unmanaged("a"), ["usage/self": answer]).outcome().denial == .invalidServiceKey)
    }

    @Test(
        "any other error, 503 among them: quota_check_failed",
        arguments: [
            .status(503, ""), .status(500, "{}"), .status(401, ""),
            .status(403, #"{"detail":"service key organization mismatch"}"#), .status(405, ""),
            .status(302, ""), .status(200, ""), .status(200, "[]"), .failure(.other("Invalid URL")),
            .failure(.unreadable("too long")), .surprise,
        ] as [BillingAnswer])
    func otherErrors(answer: BillingAnswer) async {
        #expect(await fixture(.unmanaged("a"), ["usage/self": answer]).outcome().denial == .quotaCheckFailed)
    }

    // MARK: - Runs that are billed

    @Test("a run to be billed without a key of Dograh's: invalid_service_key")
    func noServiceKey() async {
        let outcome = await fixture(.keyless, [:]).outcome()
        #expect(outcome.denial == .invalidServiceKey && outcome.requests.isEmpty)
    }

    @Test("keys beside the first are looked at before it, and what is wrong with one is said of it")
    func furtherKeys() async {
        let keys = ModelConfiguration.managed("llm", "tts", "llm", "embeddings")
        let good = await fixture(
            keys, ["usage/self": Self.left(5), "run-authorization/self": Self.verdict()]
        ).outcome()
        #expect(good.denial == nil && good.correlationID == "oss-corr-123")
        #expect(good.paths == [Self.usage, Self.usage, Self.authorization])
        #expect(
            good.requests.map { $0.headers["Authorization"] } == ["Bearer tts", "Bearer embeddings", "Bearer llm"])
        let poor = await fixture(keys, ["usage/self": Self.left(0)]).outcome()
        #expect(poor.denial == .quotaExceeded)
        let unknown = await fixture(keys, ["usage/self": .status(404, "")]).outcome()
        #expect(unknown.denial == .invalidServiceKey)
        let unreachable = await fixture(
            keys, ["usage/self": .unreachable, "run-authorization/self": Self.verdict()]
        ).outcome()
        #expect(unreachable.denial == nil && unreachable.paths == [Self.usage, Self.authorization])
    }

    @Test("404 or 405: the key's balance, and then a correlation id of its own", arguments: [404, 405])
    func fallBack(status: Int) async {
        let answers: [String: BillingAnswer] = [
            "run-authorization/self": .status(status, "{}"), "usage/self": Self.left(5),
            "correlation-id/self": .ok(["correlation_id": "legacy-corr-123"]),
        ]
        let outcome = await fixture(.managed("a"), answers).outcome()
        #expect(outcome.denial == nil)
        #expect(outcome.paths == [Self.authorization, Self.usage, Self.correlation])
        #expect(outcome.saved == ["legacy-corr-123"] && outcome.correlationID == "legacy-corr-123")
    }

    @Test(
        "in that case a poor key is refused, one that nobody can tell of is not",
        arguments: [
            (.ok(["remaining_credits": 0.05]), "quota_exceeded"), (.status(404, ""), "invalid_service_key"),
            (.status(503, ""), "quota_check_failed"), (.unreachable, nil),
        ] as [(BillingAnswer, String?)])
    func fallBackBalance(usage: BillingAnswer, code: String?) async {
        let answers: [String: BillingAnswer] = [
            "run-authorization/self": .status(404, ""), "usage/self": usage,
            "correlation-id/self": .ok(["correlation_id": "legacy-corr-123"]),
        ]
        let outcome = await fixture(.managed("a"), answers).outcome()
        #expect(outcome.denial?.code == code)
        #expect(outcome.paths.contains(Self.correlation) == (code == nil))
    }

    @Test(
        "the correlation id's endpoint fails in any way: quota_check_failed",
        arguments: [
            .unreachable, .status(404, ""), .status(500, ""), .status(200, ""), .ok([:]), .ok(["correlation_id": ""]),
            .ok(["correlation_id": "  "]), .ok(["correlation_id": 5]), .surprise,
        ] as [BillingAnswer])
    func correlationFails(answer: BillingAnswer) async {
        let answers: [String: BillingAnswer] = [
            "run-authorization/self": .status(405, ""), "usage/self": Self.left(5), "correlation-id/self": answer,
        ]
        let outcome = await fixture(.managed("a"), answers).outcome()
        #expect(outcome.denial == .quotaCheckFailed && outcome.saved.isEmpty)
    }

    @Test(
        "any other status or error, or no answer: quota_check_failed",
        arguments: [
            .status(400, ""), .status(401, ""), .status(403, ""), .status(500, "not found"), .status(503, ""),
            .status(302, ""), .status(200, ""), .status(200, "[1]"), .unreachable, .failure(.other("Invalid URL")),
            .surprise,
        ] as [BillingAnswer])
    func authorizationFails(answer: BillingAnswer) async {
        let outcome = await fixture(.managed("a"), ["run-authorization/self": answer]).outcome()
        #expect(outcome.denial == .quotaCheckFailed && outcome.requests.count == 1)
    }

    @Test(
        "refused for want of credits: insufficient_credits, in the billing service's words where it has some",
        arguments: [
            (["error": "insufficient_credits", "allowed": false, "message": "Buy more, please."], "Buy more, please."),
            (["error": "insufficient_credits", "remaining_credits": "0.05", "message": "Buy\u{0} more."], "Buy more."),
            (["error": "insufficient_credits", "allowed": false, "message": "  "], nil),
            (["error": "insufficient_credits", "allowed": false, "message": 5], nil),
            (["error": "insufficient_credits", "allowed": false], nil),
            (
                ["error": "insufficient_credits", "allowed": false, "message": "The key mps_sk_1f0c9d8e7b6a is empty"],
                nil
            ),
        ] as [([String: JSONValue?], String?)])
    func insufficient(changes: [String: JSONValue?], words: String?) async {
        let outcome = await fixture(.managed("mps_sk_1f0c9d8e7b6a"), ["run-authorization/self": Self.verdict(changes)])
            .outcome()
        #expect(outcome.denial?.code == "insufficient_credits")
        let message = outcome.denial?.message ?? ""
        #expect(words.map { $0 == message } ?? !message.isEmpty)
        #expect(!message.contains("mps_sk_1"))
    }

    @Test(
        "refused otherwise, or less than 0.10 left: quota_exceeded",
        arguments: [
            ["allowed": false], ["allowed": false, "error": "trial_over", "message": "No."], ["allowed": nil],
            ["remaining_credits": 0.0999], ["remaining_credits": "0.0999"], ["remaining_credits": .null],
            ["remaining_credits": nil], ["remaining_credits": "abc"],
        ] as [[String: JSONValue?]])
    func refused(changes: [String: JSONValue?]) async {
        let outcome = await fixture(.managed("a"), ["run-authorization/self": Self.verdict(changes)]).outcome()
        #expect(outcome.denial == .quotaExceeded)
    }

    @Test(
        "0.10 or more left, as a number or as text: allowed, and the correlation id is saved",
        arguments: [0.10, "0.10", 5, "499.0"] as [JSONValue])
    func allowed(balance: JSONValue) async {
        let answer = Self.verdict(["remaining_credits": balance])
        let outcome = await fixture(.managed("a"), ["run-authorization/self": answer]).outcome()
        #expect(outcome.denial == nil)
        #expect(outcome.correlationID == "oss-corr-123" && outcome.saved == ["oss-corr-123"])
    }

    @Test(
        "no correlation id, or none that can be saved: quota_check_failed",
        arguments: [nil, "", " ", 5, "good"] as [JSONValue?])
    func correlation(id: JSONValue?) async {
        var fixture = fixture(.managed("a"), ["run-authorization/self": Self.verdict(["correlation_id": id])])
        if id == "good" { fixture.known.failing = .save }
        let outcome = await fixture.outcome()
        #expect(outcome.denial == .quotaCheckFailed)
        // Of the others there is nothing to be saved.
        #expect(outcome.lookUps.contains(.save) == (id == "good"))
    }

    @Test("the run is gone when it is saved: allowed")
    func runGone() async {
        var fixture = fixture(.managed("a"), ["run-authorization/self": Self.verdict()])
        fixture.known.isGoneAtTheEnd = true
        #expect(await fixture.outcome().correlationID == "oss-corr-123")
    }
}
