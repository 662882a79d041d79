import PatchbayPlugin
import Synchronization
import WebRTC

/// What is alive in the process, for the admin page and for whoever looks for leaks.
final class CallRegistry: Sendable {
    struct Entry: Sendable {
        var id: String
        var tenant: String
        var workflowID: Int
        var workflowRunID: Int
        var principal: Principal
        var from = CallerPlace()
        /// Its instance's name.
        var pipeline = ""
        let started = ContinuousClock.now
        /// Of its media.
        var state: String
        var client: CallClient
        /// The peer connection that the call has at the moment.
        var leg: @Sendable () -> any MediaLeg
    }

    /// A client's name for its connection, which one socket has while the call lives. Other callers have names of their own.
    struct PeerName: Hashable, Sendable {
        var tenant: String
        var authInstance: String?
        var principalID: String
        var owner: RunOwner
        /// The run of a session, where the credential is good for one only: the visitors of a page are one user.
        var sessionRunID: Int?
        var pcID: String

        init(tenant: String, principal: Principal, pcID: String) {
            self.tenant = tenant
            authInstance = principal.authInstance
            principalID = principal.id
            owner = principal.runOwner
            sessionRunID = principal.workflowRunID
            self.pcID = pcID
        }

        /// Whether it is the same caller's.
        func isOfCaller(of other: PeerName) -> Bool {
            var other = other
            other.pcID = pcID
            return self == other
        }
    }

    private let names = Mutex<[PeerName: CallClient]>([:])
    private let entries = Mutex<[String: Entry]>([:])
    /// Open signaling sockets, by tenant.
    let sockets = PlaceCounter()
    let leases = Atomic(0)
    private let draining = Atomic(false)
    /// By tenant; nil is what no tenant matches.
    private let tallies = Mutex<[String?: Tally]>([:])

    /// What has come to a tenant since the start.
    private struct Tally {
        /// The reasons of plugins may be those of an endpoint that they ask: when there are so many, further ones are one.
        private static let mostReasons = 100

        var started = 0
        private(set) var refused: [String: Int] = [:]

        mutating func count(_ denial: Denial) {
            let isOurs = denial.authInstance == nil && denial.quota == nil
            let isKnown = isOurs || refused[denial.code] != nil || refused.count < Self.mostReasons
            refused[isKnown ? denial.code : "other", default: 0] += 1
        }
    }

    func add(_ entry: Entry) {
        tallies.withLock { $0[entry.tenant, default: Tally()].started += 1 }
        entries.withLock { $0[entry.id] = entry }
    }

    /// Whether no call is live, being placed or about to be over: its name is the first that a call has, and the last.
    var isEmpty: Bool { names.withLock { $0.isEmpty } }

    /// Whether the gateway takes no more calls, because it is about to stop.
    var isDraining: Bool { draining.load(ordering: .acquiring) }

    func drain() {
        draining.store(true, ordering: .releasing)
    }

    /// False when a live call has the name already.
    func claim(_ client: CallClient) -> Bool {
        names.withLock { names in
            guard names[client.name] == nil else { return false }
            names[client.name] = client
            return true
        }
    }

    func giveBack(_ client: CallClient) {
        _ = names.withLock { $0.removeValue(forKey: client.name) }
    }

    /// Of the live call that has the name.
    func client(_ name: PeerName) -> CallClient? {
        names.withLock { $0[name] }
    }

    /// Whether a caller has a live call of this run.
    func hasCall(of target: SignalingSession.Target, tenant: String) -> Bool {
        let caller = PeerName(tenant: tenant, principal: target.principal, pcID: "")
        return names.withLock { names in
            names.values.contains { $0.name.isOfCaller(of: caller) && $0.isCall(of: target) }
        }
    }

    /// How many calls a tenant has.
    func calls(of tenant: String) -> Int {
        entries.withLock { entries in entries.values.count { $0.tenant == tenant } }
    }

    /// Ends the calls whose callers have not returned: when the last socket is closed, nobody can.
    func endAbandoned() async {
        for client in names.withLock({ Array($0.values) }) {
            guard let call = client.abandon() else { continue }
            call.hangUp(reason: "server_stopped")
            await client.untilOver()
        }
    }

    func set(_ state: String, of id: String) {
        entries.withLock { $0[id]?.state = state }
    }

    func remove(_ id: String) {
        _ = entries.withLock { $0.removeValue(forKey: id) }
    }

    func count(_ denial: Denial, tenant: String?) {
        tallies.withLock { $0[tenant, default: Tally()].count(denial) }
    }

    /// The peer connections of the calls, by the calls' ids.
    var legs: [String: any MediaLeg] {
        entries.withLock { $0 }.mapValues { $0.leg() }
    }

    /// The admin page's view.
    ///
    /// - Parameter statistics: of the calls whose peer connections have told them, by the calls' ids.
    func json(media: JSONValue, statistics: [String: CallStatistics] = [:]) -> JSONValue {
        let now = ContinuousClock.now
        let calls = entries.withLock { $0.values.sorted { $0.id < $1.id } }
        let sockets = sockets.taken
        let tallies = tallies.withLock { $0 }
        let refused = tallies.values.reduce(into: [:]) { $0.merge($1.refused, uniquingKeysWith: +) }
        let live = calls.reduce(into: [:]) { $0[$1.tenant, default: 0] += 1 }
        let tenants = Set(sockets.keys).union(tallies.keys.compactMap(\.self)).map { name in
            let tally = tallies[name] ?? Tally()
            let figures: JSONValue = [
                "calls": .integer(live[name, default: 0]), "sockets": .integer(sockets[name, default: 0]),
                "started": .integer(tally.started), "refused": .object(tally.refused.mapValues(JSONValue.integer)),
            ]
            return (name, figures)
        }
        return [
            "calls": .array(
                calls.map { call in
                    var members: [String: JSONValue] = [
                        "id": .string(call.id), "tenant": .string(call.tenant),
                        "workflow": .integer(call.workflowID), "run": .integer(call.workflowRunID),
                        "state": .string(call.client.awaitedUntil == nil ? call.state : "detached"),
                    ]
                    members["auth"] = call.principal.authInstance.map(JSONValue.string)
                    members["user"] = call.principal.shownUser.map(JSONValue.string)
                    members["organization"] = call.principal.organization.map(JSONValue.string)
                    members["address"] = .string(call.from.address)
                    members["origin"] = call.from.page.map(JSONValue.string)
                    members["pipeline"] = .string(call.pipeline)
                    members["seconds"] = .integer(Int((now - call.started) / .seconds(1)))
                    members["media"] = statistics[call.id].map { .object($0.figures) }
                    return .object(members)
                }),
            "started": .integer(tallies.values.reduce(0) { $0 + $1.started }),
            "sockets": .integer(sockets.values.reduce(0, +)),
            "leases": .integer(leases.load(ordering: .relaxed)),
            "refused": .object(refused.mapValues(JSONValue.integer)),
            "tenants": .object(Dictionary(uniqueKeysWithValues: tenants)),
            "media": media,
        ]
    }
}
