internal import Synchronization

/// What one call takes of its tenant's limit.
struct Seat {
    let tenant: String
    let call: String

    init(tenant: String, call: String) {
        self.tenant = tenant
        self.call = call
    }

    /// Reads an `id`; nil when it is not one.
    init?(id: String) {
        guard let slash = id.lastIndex(of: "/") else { return nil }
        tenant = String(id[..<slash])
        call = String(id[id.index(after: slash)...])
    }

    var id: String { "\(tenant)/\(call)" }
}

/// The seats taken in this process.
final class Seats: Sendable {
    private let calls = Mutex<[String: Set<String>]>([:])

    /// Takes a seat, or finds it taken by the same call; false when there is none left.
    func take(_ seat: Seat, limit: Int) -> Bool {
        calls.withLock { calls in
            var taken = calls[seat.tenant] ?? []
            guard taken.contains(seat.call) || taken.count < limit else { return false }
            taken.insert(seat.call)
            calls[seat.tenant] = taken
            return true
        }
    }

    func give(_ seat: Seat) {
        calls.withLock { calls in
            calls[seat.tenant]?.remove(seat.call)
            if calls[seat.tenant]?.isEmpty == true { calls[seat.tenant] = nil }
        }
    }
}
