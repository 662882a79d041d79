import PatchbayPlugin
import Synchronization

/// What is alive in the process, for the admin page and for whoever looks for leaks.
final class CallRegistry: Sendable {
    struct Entry: Sendable {
        var id: String
        var tenant: String
        var workflowID: Int
        var workflowRunID: Int
        var state: String
    }

    /// A client's name for its connection. Within a tenant one socket has it, while the call lives.
    struct PeerName: Hashable, Sendable {
        var tenant: String
        var pcID: String
    }

    private let names = Mutex<Set<PeerName>>([])
    private let entries = Mutex<[String: Entry]>([:])
    let sockets = Atomic(0)
    let leases = Atomic(0)
    /// Everything that was refused, by reason.
    private let refusals = Mutex<[String: Int]>([:])

    func add(_ entry: Entry) {
        entries.withLock { $0[entry.id] = entry }
    }

    /// False when a live call has the name already.
    func claim(_ name: PeerName) -> Bool {
        names.withLock { $0.insert(name).inserted }
    }

    func giveBack(_ name: PeerName) {
        _ = names.withLock { $0.remove(name) }
    }

    func set(_ state: String, of id: String) {
        entries.withLock { $0[id]?.state = state }
    }

    func remove(_ id: String) {
        _ = entries.withLock { $0.removeValue(forKey: id) }
    }

    func countRefusal(_ reason: String) {
        refusals.withLock { $0[reason, default: 0] += 1 }
    }

    /// The admin page's view.
    func json(media: JSONValue) -> JSONValue {
        let calls = entries.withLock { $0.values.sorted { $0.id < $1.id } }
        return [
            "calls": .array(
                calls.map {
                    [
                        "id": .string($0.id), "tenant": .string($0.tenant), "workflow": .integer($0.workflowID),
                        "run": .integer($0.workflowRunID), "state": .string($0.state),
                    ]
                }),
            "sockets": .integer(sockets.load(ordering: .relaxed)),
            "leases": .integer(leases.load(ordering: .relaxed)),
            "refused": .object(refusals.withLock { $0.mapValues(JSONValue.integer) }),
            "media": media,
        ]
    }
}
