public import Logging

/// One call, as its pipeline sees it.
public struct Call: Sendable {
    /// Unique in the process, and across processes for all practical purposes.
    public var id: String
    /// The tenant the call belongs to.
    public var tenant: String
    /// Who calls.
    public var principal: Principal
    /// Which workflow is called.
    public var workflowID: Int
    /// Which run of it.
    public var workflowRunID: Int
    /// What the client and the credential said about the call.
    public var contextVariables: [String: JSONValue]
    /// What the quotas said about it, merged.
    public var leaseMetadata: [String: String]
    /// Logs under the call's id.
    public var logger: Logger
    /// Keys the caller presses (RFC 4733): 0-9, *, #, A-D. For one reader; the newest 64 wait for it.
    public var dtmf: AsyncStream<Character>
    private let sendEvent: @Sendable (ClientEvent) -> Void
    private let endCall: @Sendable (String) -> Void

    /// Names of context variables that are not the client's to set.
    public static let reservedVariables: Set<String> = ["provider", "runtime_configuration", "mps_correlation_id"]

    /// Makes a call, which the host and tests do.
    public init(
        id: String, tenant: String, principal: Principal, workflowID: Int, workflowRunID: Int,
        contextVariables: [String: JSONValue] = [:], leaseMetadata: [String: String] = [:], logger: Logger,
        dtmf: AsyncStream<Character> = AsyncStream { $0.finish() },
        send: @escaping @Sendable (ClientEvent) -> Void, hangUp: @escaping @Sendable (String) -> Void
    ) {
        self.id = id
        self.tenant = tenant
        self.principal = principal
        self.workflowID = workflowID
        self.workflowRunID = workflowRunID
        self.contextVariables = contextVariables
        self.leaseMetadata = leaseMetadata
        self.logger = logger
        self.dtmf = dtmf
        sendEvent = send
        endCall = hangUp
    }

    /// Sends a message to the client's socket, in order. It is dropped when 128 KiB wait there already.
    public func send(_ event: ClientEvent) {
        sendEvent(event)
    }

    /// Ends the call; the client is told `reason`.
    public func hangUp(reason: String) {
        endCall(reason)
    }
}
