import Wire

/// Packets that came before their turn: 32 places, allocated once.
struct ReorderRing {
    private static let size = 32
    private static let capacity = DatagramBatch.slotSize

    private var numbers = [Int64?](repeating: nil, count: size)
    private var timestamps = [UInt32?](repeating: nil, count: size)
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
        numbers.lazy.compactMap(\.self).min()
    }

    /// Keeps a copy of a packet; a nil timestamp marks one without sound. One that is there already is not kept again.
    ///
    /// - Returns: false when it lies too far ahead of `next`.
    mutating func insert(_ number: Int64, timestamp: UInt32?, payload: Span<UInt8>, next: Int64) -> Bool {
        guard number &- next < Int64(Self.size), payload.count <= Self.capacity else { return false }
        let slot = slot(of: number)
        guard numbers[slot] != number else { return true }
        if numbers[slot] == nil { count += 1 }
        numbers[slot] = number
        timestamps[slot] = timestamp
        payloads[slot].removeAll(keepingCapacity: true)
        for index in payload.indices {
            payloads[slot].append(payload[index])
        }
        return true
    }

    /// Takes packet `number` out; its place stays readable until the next `insert`.
    mutating func take(_ number: Int64) -> Int? {
        let slot = slot(of: number)
        guard numbers[slot] == number else { return nil }
        numbers[slot] = nil
        count -= 1
        return slot
    }

    func timestamp(of slot: Int) -> UInt32? {
        timestamps[slot]
    }

    /// Lends out a payload, so that reading it and changing the ring do not get in each other's way.
    mutating func payload(of slot: Int) -> [UInt8] {
        var payload: [UInt8] = []
        swap(&payload, &payloads[slot])
        return payload
    }

    mutating func give(back payload: consuming [UInt8], to slot: Int) {
        payloads[slot] = payload
    }

    mutating func removeAll() {
        for slot in numbers.indices { numbers[slot] = nil }
        count = 0
    }

    private func slot(of number: Int64) -> Int {
        Int(truncatingIfNeeded: number & Int64(Self.size - 1))
    }
}
