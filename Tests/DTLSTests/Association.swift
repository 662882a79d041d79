import DTLS
import TestSupport
import Wire

/// Two connections on a network that loses, repeats and reorders by a seeded generator, in virtual time.
struct Association {
    enum Side {
        case client, server
    }

    struct Network {
        var loss = 0.0
        var duplication = 0.0
        /// Each datagram takes this long, and up to `jitter` more, so a wide spread reorders.
        var delay = Duration.milliseconds(10)
        var jitter = Duration.zero
        /// Each side looks at datagrams and timers only at multiples of this, as on a machine with too much to do.
        var stall = Duration.nanoseconds(1)
        /// Sees every datagram on its way; returns what arrives.
        var tamper: (Side, [UInt8]) -> [[UInt8]] = { _, datagram in [datagram] }
    }

    var client: Connection
    var server: Connection
    var network: Network
    var now = MonotonicTime.zero
    var random: Seeded
    /// What each side put out apart from datagrams, and when it was complete.
    var clientEvents: [Connection.Output] = []
    var serverEvents: [Connection.Output] = []
    var connectTimes: [Duration] = []
    var sent: [[UInt8]] = []
    private var flying: [(due: MonotonicTime, to: Side, datagram: [UInt8])] = []

    init(_ network: Network = Network(), seed: UInt64 = 1) throws {
        client = try Connection(certificate: certificates.0, role: .client, now: .zero)
        server = try Connection(certificate: certificates.1, role: .server, now: .zero)
        self.network = network
        random = Seeded(seed)
    }

    /// Runs until nothing is on its way and no timer runs, and no longer than `limit`.
    mutating func run(for limit: Duration = .seconds(16)) {
        let end = now + limit
        client.start(now: now)
        collect()
        while let next = [flying.map(\.due).min(), client.deadline, server.deadline].compactMap({ $0 }).min(),
            next <= end
        {
            let stall = network.stall.nanoseconds
            now = max(now, MonotonicTime(nanoseconds: (next.nanoseconds + stall - 1) / stall * stall))
            step()
        }
    }

    mutating func step() {
        flying.sort { $0.due < $1.due }
        while let first = flying.first, first.due <= now {
            flying.removeFirst()
            for datagram in network.tamper(first.to, first.datagram) {
                (first.to == .client ? client : server).receive(datagram.span, now: now)
            }
            collect()
        }
        for connection in [client, server] where connection.deadline.map({ $0 <= now }) ?? false {
            connection.handleTimeout(now: now)
        }
        collect()
    }

    mutating func collect() {
        while let output = client.poll() { take(output, from: .client) }
        while let output = server.poll() { take(output, from: .server) }
    }

    private mutating func take(_ output: Connection.Output, from side: Side) {
        guard case .transmit(let datagram) = output else {
            if case .connected = output { connectTimes.append(now - .zero) }
            if side == .client { clientEvents.append(output) } else { serverEvents.append(output) }
            return
        }
        sent.append(datagram)
        let copies = random.chance(network.duplication) ? 2 : 1
        for _ in 0..<copies where !random.chance(network.loss) {
            let delay = network.delay + network.jitter * random.unit()
            flying.append((now + delay, side == .client ? .server : .client, datagram))
        }
    }

    var clientKeys: KeyingMaterial? { Self.keys(clientEvents) }
    var serverKeys: KeyingMaterial? { Self.keys(serverEvents) }

    private static func keys(_ events: [Connection.Output]) -> KeyingMaterial? {
        guard case .connected(let keys)? = events.first else { return nil }
        return keys
    }
}

/// Made once: a certificate serves any number of connections.
let certificates = {
    do { return (try Certificate(), try Certificate()) } catch { fatalError("\(error)") }
}()
