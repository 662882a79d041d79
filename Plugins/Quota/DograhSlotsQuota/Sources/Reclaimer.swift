internal import Logging
internal import Redis

/// Looks again and again for slots that gateways have left behind, and gives them back.
struct Reclaimer: Sendable {
    let table: SlotTable
    let logger: Logger
    /// Between two looks.
    var interval = Duration.seconds(5)
    /// For renewals, once Redis is there again: by then each gateway that lives has connected and renewed what it holds, so that
    /// what is left is nobody's.
    var patience = Duration.seconds(12)

    /// Until it is cancelled. It does not begin with a look: whoever only tries whether it could start changes nothing.
    func run() async {
        var wasAway = false
        while !Task.isCancelled {
            do {
                // Not all gateways at once.
                try await Task.sleep(for: interval * Double.random(in: 0.8...1))
                if wasAway {
                    _ = try await table.leftovers()
                    try await Task.sleep(for: patience)
                    wasAway = false
                }
                for slot in try await table.reclaim() {
                    logger.notice("the slot of a gateway that is gone was given back", metadata: slot.metadata)
                }
            } catch {
                wasAway = true
                logger.debug("left slots could not be looked for", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension Slot {
    var metadata: Logger.Metadata {
        [
            "organization": "\(organization)", "slot_id": "\(id)",
            "workflow_run_id": "\(run.map(String.init) ?? "none of Dograh's")",
        ]
    }
}
