import Synchronization

/// What has come of the calls of a long run: printed while it lasts, if the environment says how many there are.
final class Tally: Sendable {
    static let connectivity = Tally(of: number(in: "PATCHBAY_SEEDS"))

    private let total: UInt64?
    private let counts = Mutex<[String: UInt64]>([:])

    init(of total: UInt64?) {
        self.total = total
    }

    func add(_ outcome: String) {
        guard let total else { return }
        counts.withLock { counts in
            counts[outcome, default: 0] += 1
            let sum = counts.values.reduce(0, +)
            guard sum % max(total / 20, 1) == 0 || sum == total else { return }
            let parts = counts.sorted { $0.value > $1.value }.map { "\($0.value) \($0.key)" }
            print("\(sum) of \(total) calls: \(parts.joined(separator: "; "))")
        }
    }
}
