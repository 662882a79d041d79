import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import DograhQuota

/// The steps before anybody is asked about money: dograh-wire's table of common steps.
@Suite("Dograh: what is looked up first")
struct DograhLookUpTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var code: String
        /// All that was asked for.
        var lookUps: [FakeDirectory.LookUp]
        var change: @Sendable (inout DograhFixture) -> Void
        var testDescription: String { name }

        init(
            _ name: String, _ code: String, _ lookUps: [FakeDirectory.LookUp],
            change: @escaping @Sendable (inout DograhFixture) -> Void
        ) {
            (self.name, self.code, self.lookUps, self.change) = (name, code, lookUps, change)
        }
    }

    static let messages = [
        "workflow_not_found": "Workflow not found", "user_not_found": "User not found",
        "workflow_run_not_found": "Workflow run not found",
        "quota_check_failed": "Could not verify Dograh credits. Please try again.",
    ]

    static let rows = [
        Row("1: no organisation", "workflow_not_found", []) { $0.start.organization = nil },
        Row("1: an organisation without a name", "workflow_not_found", []) { $0.start.organization = "" },
        Row("2: the workflow's look-up fails", "workflow_not_found", [.workflow]) { $0.known.failing = .workflow },
        Row("2: no such workflow", "workflow_not_found", [.workflow]) { $0.known.workflow = nil },
        Row("3: an actor without an id", "workflow_not_found", [.workflow]) { $0.start.actor = "" },
        Row("4: the membership's look-up fails", "workflow_not_found", [.workflow, .member]) {
            $0.known.failing = .member
        },
        Row("4: no member", "workflow_not_found", [.workflow, .member]) { $0.known.isMember = false },
        Row("5: the owner's look-up fails", "quota_check_failed", [.workflow, .member, .owner]) {
            $0.known.failing = .owner
        },
        Row("5: no owner", "user_not_found", [.workflow, .member, .owner]) { $0.known.owner = nil },
        Row("6: the run's look-up fails", "quota_check_failed", [.workflow, .member, .owner, .run]) {
            $0.known.failing = .run
        },
        Row("6: no such run", "workflow_run_not_found", [.workflow, .member, .owner, .run]) { $0.known.run = nil },
        Row("6: a run of another workflow", "workflow_run_not_found", [.workflow, .member, .owner, .run]) {
            $0.known.run?.workflowID = 8
        },
        Row(
            "7: the configuration's look-up fails", "quota_check_failed",
            [.workflow, .member, .owner, .run, .configuration]
        ) { $0.known.failing = .configuration },
        Row(
            "7: the same without a run", "quota_check_failed", [.workflow, .member, .owner, .configuration]
        ) {
            $0.start.runID = nil
            $0.known.failing = .configuration
        },
    ]

    @Test("each row has its answer, and nothing after it is asked", arguments: rows, [DograhQuota.Mode.hosted, .oss])
    func row(_ row: Row, mode: DograhQuota.Mode) async {
        var fixture = DograhFixture(mode)
        row.change(&fixture)
        let outcome = await fixture.outcome()
        #expect(outcome.denial == Denial(code: row.code, message: Self.messages[row.code] ?? ""))
        #expect(outcome.lookUps == row.lookUps)
        #expect(outcome.requests.isEmpty)
    }

    @Test(
        "8: then the mode decides whom the billing service is asked about",
        arguments: [
            (DograhQuota.Mode.hosted, "billing/accounts/9/run-authorization"),
            (.oss, "service-keys/run-authorization/self"),
        ])
    func mode(mode: DograhQuota.Mode, path: String) async {
        var fixture = DograhFixture(mode)
        fixture.answers["*"] = .ok(["allowed": true, "remaining_credits": 5, "correlation_id": "c-1"])
        let outcome = await fixture.outcome()
        #expect(outcome.denial == nil)
        #expect(outcome.paths == [path])
        #expect(outcome.lookUps == [.workflow, .member, .owner, .run, .configuration, .save])
    }

    @Test("7: the models are those of the definition that the run is pinned to, and the workflow's where there is none")
    func pinnedDefinition() async throws {
        let directory = StoreDirectory(store: MemoryStore())
        var workflow = Workflow(id: 7, organization: "9")
        workflow.configuration = .managed("of-the-workflow")
        var run = Run(id: 88, workflowID: 7, organization: "9")
        func key(_ run: Run?) async throws -> String? {
            try await directory.configuration(of: workflow, run: run).serviceKeys.first?.withValue { $0 }
        }
        #expect(try await key(nil) == "of-the-workflow")
        #expect(try await key(run) == "of-the-workflow")
        run.configuration = .managed("of-the-definition")
        #expect(try await key(run) == "of-the-definition")
    }
}
