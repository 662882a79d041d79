public import PatchbayPlugin

/// Organisations that stand in the configuration.
public struct DirectorySettings: PluginSettings {
    @Field("By the id of each organisation")
    public var organizations: [String: Organization]

    /// Makes settings without organisations.
    public init() {}

    /// One organisation.
    public struct Organization: PluginSettings {
        @Field("The ids of its users")
        public var members: [String] = []

        @Field("By the number of each workflow")
        public var workflows: [String: Workflow]

        /// Makes settings without workflows.
        public init() {}
    }

    /// One workflow.
    public struct Workflow: PluginSettings {
        @Field("The id of the user whose it is")
        public var owner: String?

        @Field("The version of Dograh's managed models; 2 is billed by run")
        public var managedServiceVersion: Int?

        @Field("Its language model")
        public var llm: Service?

        @Field("Its voice")
        public var tts: Service?

        @Field("Its ear")
        public var stt: Service?

        @Field("Its embeddings")
        public var embeddings: Service?

        /// Makes a workflow with nothing in it.
        public init() {}
    }

    /// Who provides one of a workflow's models.
    public struct Service: PluginSettings {
        @Field("Who provides it; 'dograh' is billed by Dograh")
        public var provider: String

        @Field("The keys of a service of Dograh's, of which the first is used")
        public var serviceKeys: [Secret] = []

        /// Makes a service without keys.
        public init() {}
    }
}

/// A directory that stands in the configuration. It knows no runs: the host has its own rules about them.
struct SettingsDirectory: Directory {
    private let workflows: [String: [Int: Workflow]]
    private let members: [String: Set<String>]

    /// - Throws: a `SettingsFault` when a workflow's id is no number.
    init(_ settings: DirectorySettings) throws {
        members = settings.organizations.mapValues { Set($0.members) }
        var workflows: [String: [Int: Workflow]] = [:]
        for (organization, content) in settings.organizations {
            for (name, workflow) in content.workflows {
                guard let id = Int.decode(name) else {
                    throw SettingsFault(
                        "the workflow '\(name)' of organisation '\(organization)' is no number", field: "directory")
                }
                workflows[organization, default: [:]][id] = Workflow(
                    id: id, organization: organization, owner: workflow.owner, configuration: workflow.configuration)
            }
        }
        self.workflows = workflows
    }

    func workflow(_ id: Int, of organization: String) async -> Workflow? { workflows[organization]?[id] }

    func isMember(_ user: String, of organization: String) async -> Bool {
        members[organization]?.contains(user) ?? false
    }

    func owner(of workflow: Workflow) async -> String? { workflow.owner }

    func run(_ id: Int, for workflow: Workflow) async -> Run? {
        Run(id: id, workflowID: workflow.id, organization: workflow.organization)
    }

    func configuration(of workflow: Workflow, run: Run?) async -> ModelConfiguration { workflow.configuration }

    /// The pipeline has it from the lease.
    func save(correlationID: String, of run: Run) async -> Bool { true }
}

extension DirectorySettings.Workflow {
    fileprivate var configuration: ModelConfiguration {
        ModelConfiguration(
            managedServiceVersion: managedServiceVersion,
            services: [llm, tts, stt, embeddings].compactMap { service in
                service.map { ModelConfiguration.Service(provider: $0.provider, serviceKeys: $0.serviceKeys) }
            })
    }
}
