import Wire

/// Packets that came before their turn: 32 places, allocated once.
struct ReorderRing {
    /// How far ahead of the next packet one may lie.
    static let size = 32
    private static let capacity = DatagramBatch.slotSize

    private struct Slot {
        var number: Int64
        /// Nil for a packet without sound.
        var timestamp: UInt32?
        var arrival: MonotonicTime
    }

    private var slots = [Slot?](repeating: nil, count: size)
    private var payloads: [[UInt8]]
    private var count = 0

    init() {
        payloads = (0..<Self.size).map { _ in
            var payload: [UInt8] = []
            payload.reserveCapacity(Self.capacity)
            return payload
        }
    }

    var isEmpty: Bool { count == 0 }

    /// The lowest number that waits.
    var earliest: Int64? {
        var lowest: Int64?
        for case let slot? in slots where slot.number < lowest ?? .max { lowest = slot.number }
        return lowest
    }

    /// When the first of those that wait came.
    var firstArrival: MonotonicTime? {
        guard count > 0 else { return nil }
        var first: MonotonicTime?
        for case let slot? in slots { first = min(first ?? slot.arrival, slot.arrival) }
        return first
    }

    /// Keeps a copy of a packet; a nil timestamp marks one without sound. One that is there already is not kept again.
    ///
    /// - Returns: false when it does not lie within `size` from `next` on.
    mutating func insert(
        _ number: Int64, timestamp: UInt32?, payload: Span<UInt8>, next: Int64, now: MonotonicTime
    ) -> Bool {
        guard number >= next, number &- next < Int64(Self.size), payload.count <= Self.capacity else { return false }
        let place = place(of: number)
        guard slots[place]?.number != number else { return true }
        if slots[place] == nil { count += 1 }
        slots[place] = Slot(number: number, timestamp: timestamp, arrival: now)
        payloads[place].removeAll(keepingCapacity: true)
        for index in payload.indices {
            payloads[place].append(payload[index])
        }
        return true
    }

    /// Takes packet `number` out, nil when it does not wait. Its payload can be lent until the next `insert`.
    mutating func take(_ number: Int64) -> (place: Int, timestamp: UInt32?)? {
        let place = place(of: number)
        guard let slot = slots[place], slot.number == number else { return nil }
        slots[place] = nil
        count -= 1
        return (place, slot.timestamp)
    }

    /// Lends out a payload, so that reading it and changing the ring do not get in each other's way.
    mutating func lend(_ place: Int) -> [UInt8] {
        var payload: [UInt8] = []
        swap(&payload, &payloads[place])
        return payload
    }

    mutating func giveBack(_ payload: consuming [UInt8], to place: Int) {
        payloads[place] = payload
    }

    mutating func removeAll() {
        for place in slots.indices { slots[place] = nil }
        count = 0
    }

    private func place(of number: Int64) -> Int {
        Int(truncatingIfNeeded: number & Int64(Self.size - 1))
    }
}
