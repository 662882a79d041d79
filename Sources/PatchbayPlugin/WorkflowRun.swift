/// One run of a workflow: what a call is a call of. A run is called once.
public struct WorkflowRun: Sendable, Hashable {
    /// What a run is for.
    public enum Mode: String, Sendable, Hashable {
        /// A call.
        case voice = "smallwebrtc"
        /// A conversation in writing, which this gateway does not serve.
        case text = "textchat"
    }

    /// Unique for its owner.
    public var id: Int
    /// Whose it is.
    public var owner: RunOwner
    /// The workflow it is a run of.
    public var workflowID: Int
    /// What it is for.
    public var mode: Mode
    /// Whether its call is over.
    public var hasEnded: Bool
    /// How long the store keeps it after it was written down, and again after it has ended; nil for good.
    public var timeToLive: Duration?

    /// Makes a run that nobody has called yet.
    public init(
        id: Int, owner: RunOwner, workflowID: Int, mode: Mode = .voice, hasEnded: Bool = false,
        timeToLive: Duration? = nil
    ) {
        self.id = id
        self.owner = owner
        self.workflowID = workflowID
        self.mode = mode
        self.hasEnded = hasEnded
        self.timeToLive = timeToLive
    }
}

/// Whose a run is. What is somebody else's cannot be seen or called.
public enum RunOwner: Sendable, Hashable, CustomStringConvertible {
    /// Everybody of an organisation.
    case organization(String)
    /// A caller without an organisation.
    case user(String)
    /// The visitors of the pages that show an embed token.
    case embedToken(String)

    /// Two owners never have one description.
    public var description: String {
        switch self {
        case .organization(let id): "organization:\(id)"
        case .user(let id): "user:\(id)"
        case .embedToken(let token): "embed:\(token)"
        }
    }
}

/// The runs of a tenant, in its store.
public struct WorkflowRuns: Sendable {
    /// How long a live call holds its run, and a socket its place, without renewal: after a crash they are free again by then.
    public static let claimLifetime = Duration.seconds(30)

    private let store: any StorePlugin
    private let tenant: String

    /// Makes the runs that `store` has for `tenant`.
    public init(store: any StorePlugin, tenant: String) {
        self.store = store
        self.tenant = tenant
    }

    /// What the keys of a tenant's runs start with.
    package static func prefix(ofTenant tenant: String) -> String { "run:\(tenant):" }

    /// Whether the store is one that other processes see.
    public var arePersistent: Bool { type(of: store).isPersistent }

    /// Writes a run down; false when its owner has one of that id already.
    public func add(_ run: WorkflowRun) async throws -> Bool {
        try await store.add(key(run.id, run.owner), run.bytes, timeToLive: run.timeToLive)
    }

    /// Makes a run with the next id that its owner has not used.
    public func addNext(owner: RunOwner, workflowID: Int, timeToLive: Duration? = nil) async throws -> WorkflowRun {
        while let id = try await store.increment(Self.prefix(ofTenant: tenant) + "ids", limit: .max) {
            let run = WorkflowRun(id: id, owner: owner, workflowID: workflowID, timeToLive: timeToLive)
            if try await add(run) { return run }
        }
        throw RunError.noIDs
    }

    /// The run, or nil when its owner has none of that id.
    public func find(_ id: Int, owner: RunOwner) async throws -> WorkflowRun? {
        guard let bytes = try await store.get(key(id, owner)) else { return nil }
        return WorkflowRun(bytes: bytes, id: id, owner: owner)
    }

    /// Takes the run for one call, or keeps it: false when another call has it. Holds for `claimLifetime`.
    public func claim(_ id: Int, owner: RunOwner, callID: String) async throws -> Bool {
        try await store.lease(key(id, owner), member: callID, limit: 1, timeToLive: Self.claimLifetime)
    }

    /// Whether a call has the run.
    public func isLive(_ id: Int, owner: RunOwner) async throws -> Bool {
        try await store.count(key(id, owner)) > 0
    }

    /// Gives the run back.
    public func release(_ id: Int, owner: RunOwner, callID: String) async throws {
        try await store.release(key(id, owner), member: callID)
    }

    /// Takes or keeps the one socket that a run's caller may have, for a gateway: false when another gateway has it. Holds for
    /// `claimLifetime`.
    package func claimSocket(_ id: Int, owner: RunOwner, gateway: String) async throws -> Bool {
        try await store.lease(socketKey(id, owner), member: gateway, limit: 1, timeToLive: Self.claimLifetime)
    }

    /// Gives the socket's place back.
    package func releaseSocket(_ id: Int, owner: RunOwner, gateway: String) async throws {
        try await store.release(socketKey(id, owner), member: gateway)
    }

    /// Writes down that the run's call is over. Only for who has the claim.
    public func end(_ run: WorkflowRun) async throws {
        var run = run
        run.hasEnded = true
        try await store.set(key(run.id, run.owner), run.bytes, timeToLive: run.timeToLive)
    }

    private func socketKey(_ id: Int, _ owner: RunOwner) -> String { key(id, owner) + ":socket" }

    private func key(_ id: Int, _ owner: RunOwner) -> String {
        Self.prefix(ofTenant: tenant) + "\(owner):\(id)"
    }
}

/// Why a run cannot be made.
public enum RunError: Error, CustomStringConvertible {
    /// The store has counted as far as it can.
    case noIDs

    /// What happened.
    public var description: String { "the store has no further ids for runs" }
}

extension WorkflowRun {
    /// As it stands in the store.
    fileprivate var bytes: [UInt8] {
        let json: JSONValue = [
            "workflow_id": .integer(workflowID), "mode": .string(mode.rawValue), "has_ended": .bool(hasEnded),
            "kept_for": timeToLive.map { .integer(Int($0.components.seconds)) } ?? .null,
        ]
        return Array(json.description.utf8)
    }

    fileprivate init?(bytes: [UInt8], id: Int, owner: RunOwner) {
        guard let json = try? JSONValue(parsing: bytes), let workflowID = json["workflow_id"]?.integer,
            let mode = json["mode"]?.string.flatMap(Mode.init), let hasEnded = json["has_ended"]
        else { return nil }
        self.init(
            id: id, owner: owner, workflowID: workflowID, mode: mode, hasEnded: hasEnded == .bool(true),
            timeToLive: json["kept_for"]?.integer.map { .seconds(min(max($0, 0), 3_155_760_000)) })
    }
}
