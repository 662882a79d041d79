internal import Synchronization

/// What one call takes of the limit that its holder shares.
struct Seat: Hashable {
    let holder: String
    let call: String

    init(holder: String, call: String) {
        self.holder = holder
        self.call = call
    }

    /// Reads an `id`; nil when it is not one.
    init?(id: String) {
        guard let slash = id.lastIndex(of: "/") else { return nil }
        holder = String(id[..<slash])
        call = String(id[id.index(after: slash)...])
    }

    var id: String { "\(holder)/\(call)" }
}

/// The seats taken in this process.
final class Seats: Sendable {
    /// The calls that have one, by holder.
    private let calls = Mutex<[String: Set<String>]>([:])

    /// Takes a seat, or finds it taken by the same call; false when there is none left.
    func take(_ seat: Seat, limit: Int) -> Bool {
        calls.withLock { calls in
            var taken = calls[seat.holder] ?? []
            guard taken.contains(seat.call) || taken.count < limit else { return false }
            taken.insert(seat.call)
            calls[seat.holder] = taken
            return true
        }
    }

    /// How many a holder has.
    func count(of holder: String) -> Int { calls.withLock { $0[holder]?.count ?? 0 } }

    func give(_ seat: Seat) {
        calls.withLock { calls in
            calls[seat.holder]?.remove(seat.call)
            if calls[seat.holder]?.isEmpty == true { calls[seat.holder] = nil }
        }
    }
}
