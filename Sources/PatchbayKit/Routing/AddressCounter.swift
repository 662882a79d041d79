import Synchronization

/// Counts by address, up to a limit.
final class AddressCounter: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// False when the address is at its limit already.
    func enter(_ address: String, limit: Int) -> Bool {
        counts.withLock { counts in
            let count = counts[address, default: 0]
            guard count < limit else { return false }
            counts[address] = count + 1
            return true
        }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            let count = counts[address, default: 0] - 1
            counts[address] = count > 0 ? count : nil
        }
    }
}
