import Wire

/// Packets that came before their turn: 64 places, whose memory is kept once it was needed.
struct ReorderRing {
    /// How far ahead of the next packet one may lie: 160 ms of the shortest packets there are.
    static let size = 64
    private static let longestPayload = DatagramBatch.slotSize
    /// Bytes that a place has room for at first: any voice.
    private static let usualPayload = 256

    private struct Slot {
        var number: Int64
        /// Nil for a packet without sound.
        var packet: Packet?
        var arrival: MonotonicTime
    }

    /// What is known of a packet beside its payload.
    struct Packet {
        var timestamp: UInt32
        /// RFC 6464, as it came.
        var level: UInt8?
        /// It came within another packet.
        var isRedundant: Bool
    }

    private var slots = [Slot?](repeating: nil, count: size)
    private var payloads = [[UInt8]](repeating: [], count: size)
    private var count = 0

    var isEmpty: Bool { count == 0 }

    /// The lowest number that waits.
    var earliest: Int64? {
        guard count > 0 else { return nil }
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

    /// Keeps a copy of a packet; nil for one without sound. One that is there already is not kept again.
    ///
    /// - Returns: false when it does not lie within `size` from `next` on.
    mutating func insert(
        _ number: Int64, _ packet: Packet?, payload: Span<UInt8>, next: Int64, now: MonotonicTime
    ) -> Bool {
        guard number >= next, number &- next < Int64(Self.size), payload.count <= Self.longestPayload else {
            return false
        }
        let place = place(of: number)
        guard slots[place]?.number != number else { return true }
        if slots[place] == nil { count &+= 1 }
        slots[place] = Slot(number: number, packet: packet, arrival: now)
        payloads[place].removeAll(keepingCapacity: true)
        payloads[place].reserveCapacity(max(Self.usualPayload, payload.count))
        for index in payload.indices {
            payloads[place].append(payload[index])
        }
        return true
    }

    /// Takes packet `number` out, nil when it does not wait. Its payload can be lent until the next `insert`.
    mutating func take(_ number: Int64) -> (place: Int, packet: Packet?)? {
        guard count > 0 else { return nil }
        let place = place(of: number)
        guard let slot = slots[place], slot.number == number else { return nil }
        slots[place] = nil
        count &-= 1
        return (place, slot.packet)
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
