import Synchronization

/// Places by name, of which each name has no more than a limit.
final class PlaceCounter: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// Those that are taken, by the names that have any.
    var taken: [String: Int] { counts.withLock { $0 } }

    /// Takes one of a name's places, which is free again when what is returned is run; nil when none is free.
    func take(_ name: String, limit: Int) -> OnlyOnce? {
        let isFree = counts.withLock { counts in
            let count = counts[name, default: 0]
            guard count < limit else { return false }
            counts[name] = count + 1
            return true
        }
        return isFree ? OnlyOnce { self.giveBack(name) } : nil
    }

    private func giveBack(_ name: String) {
        counts.withLock { counts in
            let count = counts[name, default: 0] - 1
            counts[name] = count > 0 ? count : nil
        }
    }
}
