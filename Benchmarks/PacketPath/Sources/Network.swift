import TestSupport
import Wire

/// The way between two peers in memory: delays, loses, repeats and reorders, by a seed.
struct Network {
    struct Datagram {
        var at: MonotonicTime
        var destination: SocketAddress
        var bytes: [UInt8]
    }

    struct Impairment {
        /// 0 … 1.
        var loss = 0.0
        var burst = 0.0
        var duplication = 0.0
        /// Milliseconds on the way; the spread reorders.
        var delay = 10.0
        var spread = 0.0
    }

    var impairment = Impairment()
    private var generator = Seeded(1)
    private var burstLeft = 0
    private var datagrams: [Datagram] = []

    var next: MonotonicTime? { datagrams.first?.at }

    mutating func send(_ bytes: [UInt8], to destination: SocketAddress, now: MonotonicTime) {
        if generator.chance(impairment.burst) { burstLeft = 4 }
        if burstLeft > 0 {
            burstLeft -= 1
            return
        }
        if generator.chance(impairment.loss) { return }
        for _ in 0..<(generator.chance(impairment.duplication) ? 2 : 1) {
            let delay = impairment.delay + impairment.spread * generator.unit()
            let datagram = Datagram(
                at: now + .nanoseconds(Int64(delay * 1e6)), destination: destination, bytes: bytes)
            let place = datagrams.lastIndex { $0.at <= datagram.at }.map { $0 + 1 } ?? 0
            datagrams.insert(datagram, at: place)
        }
    }

    mutating func take(by now: MonotonicTime) -> Datagram? {
        guard let first = datagrams.first, first.at <= now else { return nil }
        return datagrams.removeFirst()
    }
}
