internal import Logging
public import PatchbayPlugin

/// Asks Dograh's billing service whether a run may start, with its answers: what is refused, and what goes on unchecked when
/// nobody can be asked.
///
/// It is asked at every offer, as there. What a call costs the services count themselves, by the correlation id that the
/// pipeline gets; so there is nothing to renew or to release.
public final class DograhQuota: QuotaPlugin {
    public static let type = "dograh"
    public static let summary = "Asks Dograh's billing service whether a run may start."
    public static let timing = QuotaTiming.everyOffer
    public static let canAlwaysTell = true

    /// What the correlation id is called in a lease's metadata, and in the call variables of a bot.
    static let correlationKey = "mps_correlation_id"

    /// A store knows whose a run is, and a directory in the file takes the caller's word for it.
    public let sharesRunNumbers: Bool
    private let organization: String?
    private let sendsRuns: Bool
    private let authorization: Authorization
    private let client: BillingClient?

    /// Makes a quota.
    ///
    /// - Throws: a ``SettingsFault`` when there is no such store, when there are two directories or none, when a workflow is
    ///   no number, or when the address is not one of HTTP.
    public convenience init(settings: Settings, context: PluginContext) throws {
        let client = BillingClient(timeout: settings.timeout)
        try self.init(settings: settings, context: context, client: client, exchange: client.exchange)
    }

    /// Makes a quota that asks whatever answers in the billing service's place.
    convenience init(settings: Settings, context: PluginContext, exchange: @escaping BillingExchange) throws {
        try self.init(settings: settings, context: context, client: nil, exchange: exchange)
    }

    private init(
        settings: Settings, context: PluginContext, client: BillingClient?, exchange: @escaping BillingExchange
    ) throws {
        organization = settings.organization
        sendsRuns = settings.sendRuns
        sharesRunNumbers = settings.sendRuns && settings.directory != nil
        self.client = client
        authorization = Authorization(
            mode: settings.mode, directory: try settings.makeDirectory(context),
            billing: BillingService(
                url: try settings.baseURL(), secretKey: settings.secretKey, exchange: exchange),
            logger: context.logger)
    }

    /// Makes the HTTP client.
    public func start() async throws {
        client?.start()
    }

    /// Closes the HTTP client's connections.
    public func stop() async {
        await client?.stop()
    }

    public func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        let start = RunStart(
            organization: request.principal.organization ?? organization, actor: request.principal.id,
            workflowID: request.workflowID, runID: dograhRun(of: request))
        do throws(Denial) {
            let correlationID = try await authorization.authorize(start)
            let metadata = correlationID.map { [Self.correlationKey: $0] } ?? [:]
            return .admit(Lease(id: request.callID, metadata: metadata))
        } catch {
            return .deny(error)
        }
    }

    /// Embed pages get their runs from the gateway, which begins to count at 1 for each tenant: those are other runs than
    /// Dograh's of the same number, and nobody must be billed for those.
    private func dograhRun(of request: CallRequest) -> Int? {
        guard sendsRuns else { return nil }
        return switch request.principal.runOwner {
        case .embedToken: nil
        case .organization, .user: request.workflowRunID
        }
    }

    public func release(_ lease: Lease, usage: CallUsage) async {}
}
