/// Room for so much at once that tenants share: half of it is for whoever comes first, and of the other half each has an equal
/// part for itself, one place at least. So none can keep another out, and one that shares it with nobody has all of it.
struct SharedRoom {
    private let capacity: Int
    private var all = 0
    /// By tenant; who has nothing is not here.
    private var taken: [String: Int] = [:]

    init(_ capacity: Int) {
        self.capacity = capacity
    }

    var isEmpty: Bool { taken.isEmpty }

    /// Whether there is a place for a tenant. Where tenants are more than places, none has one for itself.
    ///
    /// - Parameter tenants: how many share the room.
    func hasRoom(for tenant: String, of tenants: Int) -> Bool {
        let free = capacity - all
        guard free > 0 else { return false }
        let sharers = max(1, tenants)
        let own = sharers > capacity ? 0 : max(1, capacity / 2 / sharers)
        if taken[tenant, default: 0] < own { return true }
        let kept = sharers * own - taken.values.reduce(0) { $0 + min($1, own) }
        return free > kept
    }

    mutating func take(_ tenant: String) {
        all += 1
        taken[tenant, default: 0] += 1
    }

    mutating func giveBack(_ tenant: String) {
        all -= 1
        let rest = taken[tenant, default: 1] - 1
        taken[tenant] = rest > 0 ? rest : nil
    }
}
