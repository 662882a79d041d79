/// One call's slot: what it is called in Dograh's keys.
struct Slot: Hashable, Sendable {
    /// Of Dograh's numbers, as text.
    let organization: String
    /// `<epoch ms>_<8 hex>`.
    let id: String
    /// Dograh's number of the run that is bound to the slot; nil where the run is none of Dograh's.
    let run: Int?
    /// A second set that the call counts in, such as `campaign:42`.
    let scope: String?

    /// Names a new slot.
    ///
    /// - Parameters:
    ///   - now: since 1970-01-01 UTC.
    ///   - random: tells apart what begins in one millisecond.
    init(organization: String, run: Int?, scope: String?, now: Duration, random: UInt32) {
        let (seconds, attoseconds) = now.components
        let milliseconds = seconds &* 1_000 &+ attoseconds / 1_000_000_000_000_000
        let digits = String(random, radix: 16)
        self.organization = organization
        self.run = run
        self.scope = scope
        id = "\(milliseconds)_\(String(repeating: "0", count: 8 - digits.count))\(digits)"
    }

    /// Reads what `entry` has written; nil for anything else.
    init?(entry: String) {
        let parts = entry.split(separator: "|", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, Self.isOrganization(parts[0]), !parts[1].isEmpty else { return nil }
        organization = parts[0]
        id = parts[1]
        run = Int(parts[2])
        scope = parts.count == 4 && !parts[3].isEmpty ? parts[3] : nil
        // There is one way to write a slot; what was written in another could not be found again by it.
        guard self.entry.utf8.elementsEqual(entry.utf8) else { return nil }
    }

    /// All of it in one text: the lease's id, and how the slot is listed among those that gateways hold.
    var entry: String {
        [organization, id, run.map(String.init) ?? ""].joined(separator: "|") + (scope.map { "|\($0)" } ?? "")
    }

    /// Whether a text can be an organisation here. What it holds must not be taken for another's key.
    static func isOrganization(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch Unicode.Scalar(byte) {
                case "A"..."Z", "a"..."z", "0"..."9", "-", "_", ".": true
                default: false
                }
            }
    }
}
