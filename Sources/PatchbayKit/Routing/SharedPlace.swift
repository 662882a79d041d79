import Logging
import PatchbayPlugin
import Synchronization

/// The place of a caller whose credential opens one socket at a time, here and at the other gateways of the tenant's store. It is
/// given back when nobody has it any more, or before.
final class SharedPlace: Sendable {
    let here: SingleSockets.Place
    private let name: CallRegistry.PeerName
    private let sockets: SingleSockets
    private let run: Int
    private let owner: RunOwner
    /// Has the store live on, whatever is reloaded.
    private let tenant: Tenant
    private let gateway: String
    private let logger: Logger
    private let isLeft = Atomic(false)

    /// - Parameters:
    ///   - here: what the caller has of `sockets` already.
    ///   - gateway: what others know this one by.
    init(
        _ here: SingleSockets.Place, of name: CallRegistry.PeerName, in sockets: SingleSockets,
        _ target: SignalingSession.Target, _ tenant: Tenant, _ gateway: String, _ logger: Logger
    ) {
        (self.here, self.name, self.sockets) = (here, name, sockets)
        (run, owner) = (target.workflowRunID, target.principal.runOwner)
        (self.tenant, self.gateway, self.logger) = (tenant, gateway, logger)
    }

    deinit {
        guard leaveHere() else { return }
        Task { [tenant, run, owner, gateway] in
            // Where that fails it expires.
            try? await tenant.runs.releaseSocket(run, owner: owner, gateway: gateway)
        }
    }

    /// Takes it from the other gateways; false where one of them has it.
    func claim() async -> Bool {
        do {
            return try await tenant.runs.claimSocket(run, owner: owner, gateway: gateway)
        } catch {
            logger.warning(
                "the store could not tell whether another gateway has a session's socket",
                metadata: metadata.merging(["error": "\(error)"]) { own, _ in own })
            // Two calls there are not, for a run has one.
            return true
        }
    }

    /// Keeps other gateways from taking it. One that has, when the store had lost it, is left to it: this socket may have the call.
    func keep() async {
        guard !isLeft.load(ordering: .acquiring) else { return }
        if await !claim() {
            logger.warning("another gateway has let a session's second socket in", metadata: metadata)
        } else if isLeft.load(ordering: .acquiring) {
            await release()
        }
    }

    /// Gives it back, everywhere. A second time does nothing.
    func leave() async {
        if leaveHere() { await release() }
    }

    /// Whether it was this one's to give back, and is to be given back elsewhere too.
    private func leaveHere() -> Bool {
        !isLeft.exchange(true, ordering: .acquiringAndReleasing) && sockets.leave(here, of: name)
    }

    private func release() async {
        // A socket that was opened here meanwhile has the gateway's claim.
        if sockets.has(name) { return }
        try? await tenant.runs.releaseSocket(run, owner: owner, gateway: gateway)
        if sockets.has(name) { _ = await claim() }
    }

    private var metadata: Logger.Metadata { ["tenant": "\(tenant.name)", "run": "\(run)"] }
}
