import PatchbayPlugin
import TestSupport
import Testing

@testable import DograhQuota
@testable import WebSocketPipeline

@Suite("Dograh: the correlation id")
struct DograhCorrelationTests {
    @Test("is among the variables of the call that a bot is told, with those of the client")
    func reachesTheBot() async throws {
        var settings = DograhQuota.Settings()
        var (directory, organization, workflow, service) = (
            DirectorySettings(), DirectorySettings.Organization(), DirectorySettings.Workflow(),
            DirectorySettings.Service()
        )
        (service.provider, service.serviceKeys) = (
            "dograh", [Secret(Leaks.secret("a service key", "mps_sk_1f0c9d8e7b6a"))]
        )
        (workflow.owner, workflow.managedServiceVersion, workflow.llm) = ("7", 2, service)
        (organization.members, organization.workflows) = (["7"], ["33": workflow])
        directory.organizations = ["9": organization]
        (settings.mode, settings.directory) = (.hosted, directory)
        let quota = try DograhQuota(
            settings: settings, context: PluginContext(name: "credits", logger: .watched) { .zero }
        ) { _ in
            let verdict = #"{"allowed":true,"remaining_credits":1,"correlation_id":"c-1"}"#
            return BillingReply(status: 200, body: Array(verdict.utf8))
        }
        let principal = Principal(id: "7", organization: "9")
        let lease = try #require(
            try await quota.admit(
                CallRequest(
                    callID: "1", tenant: "default", principal: principal, workflowID: 33, workflowRunID: 88)
            ).lease)
        let call = Call(
            id: "1", tenant: "default", principal: principal, workflowID: 33, workflowRunID: 88,
            contextVariables: ["name": "Ada"], leaseMetadata: lease.metadata, logger: .watched,
            host: Call.Host(report: { _ in }, events: { AsyncStream { $0.finish() } }, send: { _ in }, hangUp: { _ in })
        )
        #expect(CallFacts(call).variables == ["mps_correlation_id": "c-1", "name": "Ada"])
        #expect(Call.reservedVariables.contains(DograhQuota.correlationKey))
    }
}
