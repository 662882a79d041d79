import PatchbayPlugin
import Testing

@testable import DograhQuota

/// dograh-wire's table of hosted deployments.
@Suite("Dograh, hosted")
struct DograhHostedTests {
    /// Whether a run is billed as such.
    enum Billing: String, CaseIterable, CustomTestStringConvertible {
        case byRun = "managed v2 with a run"
        case withoutRun = "managed v2 without a run"
        case unmanaged = "unmanaged, with a run"
        case foreign = "keys of others, with a run"
        var testDescription: String { rawValue }

        static let otherwise = allCases.filter { $0 != .byRun }
    }

    private func fixture(_ billing: Billing, _ answer: BillingAnswer?) -> DograhFixture {
        var fixture = DograhFixture(.hosted)
        fixture.answers["9/run-authorization"] = answer
        switch billing {
        case .byRun: break
        case .withoutRun: fixture.start.runID = nil
        case .unmanaged: fixture.known.configuration = .unmanaged("mps_sk_1f0c9d8e7b6a")
        case .foreign: fixture.known.configuration = .foreign
        }
        return fixture
    }

    private static func verdict(_ changes: [String: JSONValue?] = [:]) -> BillingAnswer {
        var body: [String: JSONValue] = [
            "allowed": true, "billing_mode": "v2", "remaining_credits": "25.0000", "correlation_id": "mps-corr-123",
        ]
        for (name, value) in changes { body[name] = value }
        return .ok(.object(body))
    }

    @Test("a run to be billed without a service key: invalid_service_key, and nobody is asked", arguments: [0, 1])
    func noServiceKey(services: Int) async {
        var fixture = fixture(.byRun, nil)
        fixture.known.configuration = .keyless
        if services == 0 { fixture.known.configuration.services[0].serviceKeys = [] }
        let outcome = await fixture.outcome()
        #expect(outcome.denial?.code == "invalid_service_key")
        #expect(
            outcome.denial?.message
                == "You have invalid keys in your model configuration. Please validate the service keys.")
        #expect(outcome.requests.isEmpty)
    }

    @Test("no answer, and the run would be billed: quota_check_failed")
    func unreachableByRun() async {
        #expect(await fixture(.byRun, .unreachable).outcome().denial == .quotaCheckFailed)
    }

    @Test("no answer otherwise: the call goes on unchecked", arguments: Billing.otherwise)
    func unreachableOtherwise(billing: Billing) async {
        let outcome = await fixture(billing, .unreachable).outcome()
        #expect(outcome.denial == nil && outcome.correlationID == nil)
        #expect(outcome.requests.count == 1 && outcome.saved.isEmpty)
    }

    @Test(
        "403 that speaks of the wrong organisation, in any case: service_key_org_mismatch",
        arguments: [
            "Service key organization mismatch", "service key organization mismatch",
            "SERVICE KEY ORGANIZATION MISMATCH",
        ], Billing.allCases)
    func mismatch(detail: String, billing: Billing) async {
        let answer = BillingAnswer.status(403, JSONValue.object(["detail": .string(detail)]).description)
        let outcome = await fixture(billing, answer).outcome()
        #expect(outcome.denial?.code == "service_key_org_mismatch")
        #expect(outcome.denial?.message.contains("new service token from the Developers tab") == true)
    }

    @Test(
        "any other status, body or error: quota_check_failed",
        arguments: [
            .status(403, #"{"detail":"Forbidden"}"#), .status(403, ""),
            .status(403, #"{"detail":["service key organization mismatch"]}"#),
            .status(401, #"{"detail":"service key organization mismatch"}"#), .status(402, "{}"),
            .status(404, "{}"), .status(405, "{}"), .status(500, "{}"), .status(503, "{}"), .status(302, ""),
            .status(201, #"{"allowed":true,"remaining_credits":5,"correlation_id":"c"}"#), .status(204, ""),
            .status(200, ""), .status(200, "<html>"), .status(200, "[]"), .status(200, #"{"allowed":true,"#),
            .status(200, "null"), .failure(.other("Unsupported scheme")), .failure(.unreadable("too long")), .surprise,
        ] as [BillingAnswer], Billing.allCases)
    func failures(answer: BillingAnswer, billing: Billing) async {
        #expect(await fixture(billing, answer).outcome().denial == .quotaCheckFailed)
    }

    @Test(
        "not allowed, or less than 0.10 left: insufficient_credits",
        arguments: [
            ["allowed": false, "remaining_credits": "0.0000", "error": "insufficient_credits"], ["allowed": false],
            ["allowed": nil], ["allowed": "true"], ["allowed": 1], ["remaining_credits": 0.0999],
            ["remaining_credits": "0.0999"], ["remaining_credits": 0], ["remaining_credits": -1],
            ["remaining_credits": .null], ["remaining_credits": nil], ["remaining_credits": "abc"],
            ["remaining_credits": ""], ["remaining_credits": "nan"], ["remaining_credits": "inf"],
            ["remaining_credits": "1,5"], ["remaining_credits": true], ["remaining_credits": [5]],
        ] as [[String: JSONValue?]], Billing.allCases)
    func insufficient(changes: [String: JSONValue?], billing: Billing) async {
        let outcome = await fixture(billing, Self.verdict(changes)).outcome()
        #expect(outcome.denial?.code == "insufficient_credits")
        #expect(outcome.denial?.message.contains("/billing") == true)
        #expect(outcome.denial?.message.contains("founders@dograh.com") == false)
        #expect(outcome.saved.isEmpty)
    }

    @Test(
        "0.10 or more left, as a number or as text: allowed",
        arguments: [0.10, "0.10", "0.1", "0.1000", 1, "25.0000", " 25 ", "1e2", 499.5] as [JSONValue], Billing.allCases)
    func sufficient(balance: JSONValue, billing: Billing) async {
        let outcome = await fixture(billing, Self.verdict(["remaining_credits": balance])).outcome()
        #expect(outcome.denial == nil)
    }

    @Test(
        "a run is billed and no correlation id came: quota_check_failed",
        arguments: [nil, "", " \t", 5, .null, ["mps"]] as [JSONValue?])
    func noCorrelationID(id: JSONValue?) async {
        let outcome = await fixture(.byRun, Self.verdict(["correlation_id": id])).outcome()
        #expect(outcome.denial == .quotaCheckFailed)
        #expect(outcome.saved.isEmpty)
    }

    @Test("no correlation id came, and none is needed: allowed", arguments: Billing.otherwise)
    func noneNeeded(billing: Billing) async {
        let outcome = await fixture(billing, Self.verdict(["correlation_id": .null])).outcome()
        #expect(outcome.denial == nil && outcome.correlationID == nil && outcome.saved.isEmpty)
    }

    @Test("the correlation id cannot be saved: quota_check_failed", arguments: [Billing.byRun, .unmanaged])
    func savingFails(billing: Billing) async {
        var fixture = fixture(billing, Self.verdict())
        fixture.known.failing = .save
        #expect(await fixture.outcome().denial == .quotaCheckFailed)
    }

    @Test("the run is gone when it is saved: allowed")
    func runGone() async {
        var fixture = fixture(.byRun, Self.verdict())
        fixture.known.isGoneAtTheEnd = true
        let outcome = await fixture.outcome()
        #expect(outcome.denial == nil && outcome.correlationID == "mps-corr-123")
    }

    @Test(
        "else: allowed, and the correlation id is saved and handed on",
        arguments: [Billing.byRun, .unmanaged, .foreign])
    func allowed(billing: Billing) async {
        let outcome = await fixture(billing, Self.verdict()).outcome()
        #expect(outcome.denial == nil)
        #expect(outcome.correlationID == "mps-corr-123")
        #expect(outcome.saved == ["mps-corr-123"])
    }
}
