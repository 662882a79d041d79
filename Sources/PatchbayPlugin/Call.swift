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
    /// Messages that the client has for the pipeline, JSON objects. For one reader; the newest 64 wait for it. Only
    /// clients that may see everything (`events: all`) may say something here.
    public var messages: AsyncStream<JSONValue>
    private let host: Host

    /// What stands behind a call.
    public struct Host: Sendable {
        var report: @Sendable (CallEvent) -> Void
        var events: @Sendable () -> AsyncStream<CallEvent>
        var send: @Sendable (JSONValue) -> Void
        var hangUp: @Sendable (String) -> Void

        /// Makes one from its four functions: those of ``Call`` of the same names.
        public init(
            report: @escaping @Sendable (CallEvent) -> Void, events: @escaping @Sendable () -> AsyncStream<CallEvent>,
            send: @escaping @Sendable (JSONValue) -> Void, hangUp: @escaping @Sendable (String) -> Void
        ) {
            self.report = report
            self.events = events
            self.send = send
            self.hangUp = hangUp
        }
    }

    /// Names of context variables that are not the client's to set.
    public static let reservedVariables: Set<String> = ["provider", "runtime_configuration", "mps_correlation_id"]

    /// Makes a call, which the host and tests do.
    public init(
        id: String, tenant: String, principal: Principal, workflowID: Int, workflowRunID: Int,
        contextVariables: [String: JSONValue] = [:], leaseMetadata: [String: String] = [:], logger: Logger,
        dtmf: AsyncStream<Character> = AsyncStream { $0.finish() },
        messages: AsyncStream<JSONValue> = AsyncStream { $0.finish() }, host: Host
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
        self.messages = messages
        self.host = host
    }

    /// Tells what happened, to the client as far as its tenant shows it, and to who follows ``events()``.
    public func report(_ event: CallEvent) {
        host.report(event)
    }

    /// What happens from now on, the pipeline's own reports among it, until the call is over. The newest 256 wait for
    /// a reader.
    public func events() -> AsyncStream<CallEvent> {
        host.events()
    }

    /// Sends a message of the pipeline's own to a client that may see everything (`events: all`), in order. It is
    /// dropped when 128 KiB wait there already.
    ///
    /// - Parameter message: an object; its `type` should be none of the protocol's.
    public func send(_ message: JSONValue) {
        host.send(message)
    }

    /// Ends the call; the client is told `reason`.
    public func hangUp(reason: String) {
        host.hangUp(reason)
    }
}
