/// What one member has of a counter that several draw from, in a ``StorePlugin``.
///
/// All amounts are absolute, so that a question which the store carries out twice, or long after it was asked, adds nothing.
public struct CounterShare: Sendable, Hashable {
    /// What a member wants.
    public enum Change: Sendable, Hashable {
        /// To have `upTo` in all, or as much of it as `limit` leaves when everybody's is added up. A share never becomes
        /// smaller by this.
        case draw(upTo: Int, limit: Int)
        /// To have this in the end, whatever the limit; nothing changes it afterwards.
        case settle(Int)
    }

    /// How long a store remembers at least that a share is settled, or less where `timeToLive` is. What it was asked before
    /// and did not do it will not do later than that.
    public static let memory = Duration.seconds(3_600)
    /// More than this nobody has: beyond it some engines' numbers are rounded.
    public static let most = 1 << 53

    /// From 0 to `most`.
    public var amount: Int
    /// Whether it stays as it is.
    public var isSettled: Bool

    /// Makes a share; a member that a store does not know has the default.
    public init(amount: Int = 0, isSettled: Bool = false) {
        self.amount = amount
        self.isSettled = isSettled
    }

    /// Changes the share, and the count with it, which never leaves 0 to `most`.
    public mutating func apply(_ change: Change, count: inout Int) {
        guard !isSettled else { return }
        let before = amount
        switch change {
        case .draw(let wanted, let limit):
            let room = min(limit, Self.most) > count ? min(limit, Self.most) - count : 0
            amount += min(max(0, min(wanted, Self.most) - amount), room)
        case .settle(let final):
            amount = min(max(0, final), Self.most)
            isSettled = true
        }
        count = min(max(0, count + amount - before), Self.most)
    }
}
