/// Decides whether one more call may start.
///
/// A tenant may have several; all must admit. An error means "could not tell", and the instance's `on_unavailable` decides.
public protocol QuotaPlugin: Plugin {
    /// When it is asked; at every offer unless it says otherwise.
    static var timing: QuotaTiming { get }

    /// Whether it has rules of its own for when nobody can be asked, so that `on_unavailable: allow` is a fault; it has not
    /// unless it says otherwise.
    static var canAlwaysTell: Bool { get }

    /// Whether the number of a signed-in caller's run is more to it than that: the run of that number in a database that others use,
    /// too. A caller who may choose it could name somebody else's, so a tenant with the instance and `runs: open` is warned of, as
    /// of ``Plugin/warnings()``. It is not unless it says otherwise.
    var sharesRunNumbers: Bool { get }

    /// Admits or denies. At a call's later offers the same `request.callID` comes again; that must not count twice.
    func admit(_ request: CallRequest) async throws -> QuotaOutcome

    /// Counts a call that lives uncounted: when it came the quota could not tell, and `on_unavailable` let it in.
    /// The host asks every 10 s until it has a lease. Where there is no room, the call is to be counted all the same, for
    /// nobody else should come in before there is; nil where it cannot be.
    func count(_ call: CallRequest) async throws -> Lease?

    /// Keeps a lease with a `timeToLive` alive; the host calls it every third of that time.
    ///
    /// - Throws: a ``Denial`` when the call may not go on: the host ends it, and its client is told the code and the sentence.
    ///   After any other error the call goes on.
    func renew(_ lease: Lease) async throws

    /// How much those have used who share a limit with this call; nil where it is not counted here. For people who ask, not
    /// for calls: it changes nothing.
    func usage(of call: CallRequest) async throws -> QuotaUsage?

    /// The call is over, however it ended. A second time for the same lease must do nothing.
    func release(_ lease: Lease, usage: CallUsage) async
}

/// When a quota is asked.
public enum QuotaTiming: Sendable, Hashable {
    /// At every offer that has all its fields, first of all: whether this caller may call at all.
    case everyOffer
    /// Once for a call, when its run is known to be good: whether there is room for one more. Where it cannot tell and
    /// `on_unavailable` is `deny`, the client hears `concurrency_limit_exceeded`.
    case newCall
}

extension QuotaPlugin {
    /// At every offer.
    public static var timing: QuotaTiming { .everyOffer }

    /// It cannot.
    public static var canAlwaysTell: Bool { false }

    /// A run's number is the tenant's own.
    public var sharesRunNumbers: Bool { false }

    /// Counts it where it would be admitted.
    public func count(_ call: CallRequest) async throws -> Lease? {
        if case .admit(let lease) = try await admit(call) { lease } else { nil }
    }

    /// Nothing expires.
    public func renew(_ lease: Lease) async throws {}

    /// Nothing is counted that could be shown.
    public func usage(of call: CallRequest) async throws -> QuotaUsage? { nil }
}

/// How much of a limit is used.
public struct QuotaUsage: Sendable, Hashable {
    /// What there is a limit of.
    public enum Unit: String, Sendable, Hashable {
        /// Calls at the same time.
        case calls
        /// Time of calls, in whole seconds.
        case seconds
    }

    /// Who shares the limit, by the name that the quota counts them under.
    public var holder: String
    /// What `used` and `limit` count.
    public var unit: Unit
    /// With what live calls have taken in advance; 0 or more.
    public var used: Int
    /// How much there is; 0 or more.
    public var limit: Int
    /// When there is as much again, since 1970-01-01 UTC; nil where that is not a matter of time.
    public var renewal: Duration?

    /// Makes a usage.
    public init(holder: String, unit: Unit, used: Int, limit: Int, renewal: Duration? = nil) {
        self.holder = holder
        self.unit = unit
        self.used = used
        self.limit = limit
        self.renewal = renewal
    }
}

/// What a ``QuotaPlugin`` answers.
public enum QuotaOutcome: Sendable {
    /// The call may start, and holds this until it ends.
    case admit(Lease)
    /// It may not.
    case deny(Denial)
}

/// A call that wants to start.
public struct CallRequest: Sendable {
    /// Unique in the process, and across processes for all practical purposes.
    public var callID: String
    /// The tenant that the route chose.
    public var tenant: String
    /// Who calls.
    public var principal: Principal
    /// Which workflow is called.
    public var workflowID: Int
    /// Which run of it.
    public var workflowRunID: Int

    /// Makes a request.
    public init(callID: String, tenant: String, principal: Principal, workflowID: Int, workflowRunID: Int) {
        self.callID = callID
        self.tenant = tenant
        self.principal = principal
        self.workflowID = workflowID
        self.workflowRunID = workflowRunID
    }
}

/// What an admitted call holds until it ends.
public struct Lease: Sendable, Hashable {
    /// What `renew` and `release` know it by.
    public var id: String
    /// How long it lives without `renew`; nil lives as long as the call.
    public var timeToLive: Duration?
    /// The longest the call may last, where the quota says so.
    public var maximumDuration: Duration?
    /// Handed to the pipeline as `call.leaseMetadata`.
    public var metadata: [String: String]

    /// Makes a lease.
    public init(
        id: String, timeToLive: Duration? = nil, maximumDuration: Duration? = nil, metadata: [String: String] = [:]
    ) {
        self.id = id
        self.timeToLive = timeToLive
        self.maximumDuration = maximumDuration
        self.metadata = metadata
    }
}

/// What a call came to, for whoever counts it.
public struct CallUsage: Sendable, Hashable {
    /// From the answer to the end.
    public var duration: Duration

    /// Makes a usage.
    public init(duration: Duration) {
        self.duration = duration
    }
}
