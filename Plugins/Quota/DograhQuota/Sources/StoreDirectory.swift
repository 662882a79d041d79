internal import PatchbayPlugin

/// A directory in a store, for a program beside the gateway to write. All values are JSON objects:
///
/// | key | value |
/// |---|---|
/// | `dograh:organization:9` | `{"members": ["7"]}` |
/// | `dograh:workflow:9:33` | `{"owner": "7", "configuration": …}` |
/// | `dograh:run:9:88` | `{"workflow_id": 33, "configuration": …}`, the latter where the run is pinned to a definition |
/// | `dograh:correlation:9:88` | a JSON string, written by the gateway |
///
/// A configuration is `{"managed_service_version": 2, "llm": {"provider": "dograh", "service_keys": ["mps_sk_…"]}, …}`.
struct StoreDirectory: Directory {
    /// How long a correlation id is kept: long enough for whatever settles accounts.
    static let correlationLifetime = Duration.seconds(30 * 86_400)

    let store: any StorePlugin

    func workflow(_ id: Int, of organization: String) async throws -> Workflow? {
        let key = "dograh:workflow:\(organization):\(id)"
        guard let value = try await object(key) else { return nil }
        return Workflow(
            id: id, organization: organization, owner: identifier(value["owner"]),
            configuration: try ModelConfiguration(value["configuration"] ?? [:], of: key))
    }

    func isMember(_ user: String, of organization: String) async throws -> Bool {
        let key = "dograh:organization:\(organization)"
        guard let value = try await object(key) else { return false }
        guard case .array(let members)? = value["members"] else { throw DirectoryError(key: key) }
        return members.contains { identifier($0) == user }
    }

    func owner(of workflow: Workflow) async throws -> String? { workflow.owner }

    func run(_ id: Int, for workflow: Workflow) async throws -> Run? {
        let key = key(ofRun: id, workflow.organization)
        guard let value = try await object(key) else { return nil }
        guard let workflowID = value["workflow_id"]?.integer else { throw DirectoryError(key: key) }
        return Run(
            id: id, workflowID: workflowID, organization: workflow.organization,
            configuration: try value["configuration"].flatMap { value in
                value == .null ? nil : try ModelConfiguration(value, of: key)
            })
    }

    func configuration(of workflow: Workflow, run: Run?) async throws -> ModelConfiguration {
        run?.configuration ?? workflow.configuration
    }

    /// Under a key of its own, so that nothing of the run is written over that somebody else writes at the same time.
    func save(correlationID: String, of run: Run) async throws -> Bool {
        guard try await store.get(key(ofRun: run.id, run.organization)) != nil else { return false }
        try await store.set(
            "dograh:correlation:\(run.organization):\(run.id)", Array(JSONValue.string(correlationID).description.utf8),
            timeToLive: Self.correlationLifetime)
        return true
    }

    private func key(ofRun id: Int, _ organization: String) -> String { "dograh:run:\(organization):\(id)" }

    private func object(_ key: String) async throws -> JSONValue? {
        guard let bytes = try await store.get(key) else { return nil }
        guard let value = try? JSONValue(parsing: bytes), value.object != nil else { throw DirectoryError(key: key) }
        return value
    }
}

/// What stands in the store is not what should.
struct DirectoryError: Error, CustomStringConvertible {
    let key: String

    var description: String { "what the store has under '\(key)' is not what docs/quota.md describes" }
}

/// An id that is text, or a number in JSON.
private func identifier(_ value: JSONValue?) -> String? {
    value?.string ?? value?.integer.map(String.init)
}

extension ModelConfiguration {
    fileprivate init(_ value: JSONValue, of key: String) throws {
        guard let members = value.object else { throw DirectoryError(key: key) }
        let services = try ["llm", "tts", "stt", "embeddings"].compactMap { name -> Service? in
            guard let service = members[name], service != .null else { return nil }
            guard let provider = service["provider"]?.string else { throw DirectoryError(key: key) }
            guard let keys = service["service_keys"], keys != .null else { return Service(provider: provider) }
            guard case .array(let keys) = keys else { throw DirectoryError(key: key) }
            return Service(provider: provider, serviceKeys: keys.compactMap { $0.string.map(Secret.init) })
        }
        self.init(managedServiceVersion: members["managed_service_version"]?.integer, services: services)
    }
}
