import PatchbayPlugin
import Testing

@testable import DograhQuota

/// dograh-wire's requests to the billing service, to the byte.
@Suite("Dograh: what the billing service is asked")
struct DograhRequestTests {
    private func fixture(_ mode: DograhQuota.Mode, _ answers: [String: BillingAnswer]) -> DograhFixture {
        var fixture = DograhFixture(mode)
        fixture.known.owner = "123"
        fixture.known.configuration = .managed("mps_sk_1f0c9d8e7b6a")
        fixture.answers = answers
        return fixture
    }

    private let allowed = BillingAnswer.ok(["allowed": true, "remaining_credits": 5, "correlation_id": "c-1"])

    @Test("hosted: about the organisation's account")
    func hosted() async throws {
        let outcome = await fixture(.hosted, ["9/run-authorization": allowed]).outcome()
        let request = try #require(outcome.requests.first)
        #expect(request.method == .post)
        #expect(request.url == "http://billing/api/v1/billing/accounts/9/run-authorization")
        #expect(
            request.headers == [
                "Content-Type": "application/json", "X-Secret-Key": "s3cret-of-the-gateway", "X-Organization-Id": "9",
            ])
        #expect(
            try JSONValue(parsing: request.body) == [
                "workflow_run_id": 88, "service_key": "mps_sk_1f0c9d8e7b6a", "require_correlation_id": true,
                "metadata": ["dograh_user_id": "123", "workflow_id": 7], "minimum_credits": 0.1,
            ])
        #expect(String(decoding: request.body, as: UTF8.self).contains(#""minimum_credits":0.1,"#))
    }

    @Test("hosted, not billed by run: no service key, and no correlation id needed", arguments: [true, false])
    func hostedOtherwise(hasRun: Bool) async throws {
        var fixture = fixture(.hosted, ["9/run-authorization": allowed])
        if hasRun { fixture.known.configuration = .unmanaged("mps_sk_1f0c9d8e7b6a") } else { fixture.start.runID = nil }
        let request = try #require(await fixture.outcome().requests.first)
        #expect(
            try JSONValue(parsing: request.body) == [
                "workflow_run_id": hasRun ? 88 : .null, "service_key": .null, "require_correlation_id": false,
                "metadata": ["dograh_user_id": "123", "workflow_id": 7], "minimum_credits": 0.1,
            ])
    }

    @Test("an organisation's name cannot leave its place in the path")
    func escaping() async throws {
        var fixture = fixture(.hosted, ["*": allowed])
        fixture.start.organization = "a/../b?c=d#é"
        fixture.known.workflow?.organization = "a/../b?c=d#é"
        let request = try #require(await fixture.outcome().requests.first)
        #expect(
            request.url == "http://billing/api/v1/billing/accounts/a%2F..%2Fb%3Fc%3Dd%23%C3%A9/run-authorization")
    }

    @Test("without a secret key none is shown")
    func noSecretKey() async throws {
        let service = BillingService(url: "http://billing", secretKey: nil) { request in
            #expect(request.headers == ["Content-Type": "application/json", "X-Organization-Id": "9"])
            return BillingReply(status: 200, body: Array("{}".utf8))
        }
        let known = KnownRun(
            workflow: Workflow(id: 7, organization: "9"), owner: "1", run: nil, configuration: .foreign)
        _ = try await service.authorizeAccount(known, serviceKey: nil)
    }

    @Test("self-hosted: about a run and its key, a key's balance, and a correlation id")
    func selfHosted() async throws {
        let outcome = await fixture(
            .oss,
            [
                "run-authorization/self": .status(404, ""), "usage/self": .ok(["remaining_credits": 5]),
                "correlation-id/self": .ok(["correlation_id": "c-2"]),
            ]
        ).outcome()
        try #require(outcome.requests.count == 3)
        let expected: [(BillingRequest.Method, String, JSONValue?)] = [
            (
                .post, "run-authorization",
                [
                    "workflow_run_id": 88, "require_correlation_id": true, "metadata": ["workflow_id": 7],
                    "minimum_credits": 0.1,
                ]
            ),
            (.get, "usage", nil),
            (.post, "correlation-id", ["workflow_run_id": 88]),
        ]
        for (request, (method, name, body)) in zip(outcome.requests, expected) {
            #expect(request.method == method)
            #expect(request.url == "http://billing/api/v1/service-keys/\(name)/self")
            #expect(
                request.headers == ["Authorization": "Bearer mps_sk_1f0c9d8e7b6a", "Content-Type": "application/json"])
            #expect(try (request.body.isEmpty ? nil : JSONValue(parsing: request.body)) == body)
        }
    }

    @Test("no failure shows what was sent, or what came back")
    func secrecy() {
        for failure in [
            BillingFailure.status(500, body: Array("mps_sk_1".utf8)), .status(403, body: Array("mps_sk_1".utf8)),
        ] {
            #expect(!"\(failure)".contains("mps_sk_1"))
        }
    }
}
