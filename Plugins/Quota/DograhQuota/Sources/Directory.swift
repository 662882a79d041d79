internal import PatchbayPlugin

/// What has to be known about a run before its credits are asked for.
///
/// Any look-up may throw, which means that nobody could tell; what that leads to depends on the look-up.
protocol Directory: Sendable {
    /// The workflow, where the organisation has one of that id.
    func workflow(_ id: Int, of organization: String) async throws -> Workflow?

    /// Whether the user belongs to the organisation, among others perhaps.
    func isMember(_ user: String, of organization: String) async throws -> Bool

    /// The id of the user who owns the workflow; nil where that user is gone.
    func owner(of workflow: Workflow) async throws -> String?

    /// The run, where the organisation has one of that id. A directory without runs has each, of the workflow asked for.
    func run(_ id: Int, for workflow: Workflow) async throws -> Run?

    /// The models of the definition that the run is pinned to; the workflow's where it is pinned to none.
    func configuration(of workflow: Workflow, run: Run?) async throws -> ModelConfiguration

    /// Writes down the billing service's id for the run; false where the run is gone.
    func save(correlationID: String, of run: Run) async throws -> Bool
}

/// A workflow of an organisation.
struct Workflow: Sendable {
    var id: Int
    var organization: String
    /// The user's id.
    var owner: String?
    var configuration = ModelConfiguration()
}

/// A run of a workflow.
struct Run: Sendable {
    var id: Int
    var workflowID: Int
    var organization: String
    /// Of the definition that it is pinned to, if any.
    var configuration: ModelConfiguration?
}

/// Which services a workflow uses, and with which keys.
struct ModelConfiguration: Sendable {
    /// One of the four.
    struct Service: Sendable {
        var provider: String
        var serviceKeys: [Secret] = []
    }

    /// How Dograh's own models are billed; 2 by run.
    var managedServiceVersion: Int?
    /// Those there are of llm, tts, stt and embeddings, in this order.
    var services: [Service] = []

    private var ownServices: [Service] { services.filter { $0.provider == "dograh" } }

    /// Whether Dograh's own models are used, and billed by run.
    var isManagedV2: Bool { managedServiceVersion == 2 && !ownServices.isEmpty }

    /// The keys of Dograh's own models, each once, in the services' order.
    var serviceKeys: [Secret] {
        var seen: Set<String> = []
        return ownServices.flatMap(\.serviceKeys).filter { $0.withValue { !$0.isEmpty && seen.insert($0).inserted } }
    }
}
