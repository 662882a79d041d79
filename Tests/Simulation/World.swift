import Foundation
import Synchronization
import TestSupport
import Testing
import WebRTC
import Wire

/// Something on the virtual network.
protocol Node: AnyObject {
    /// Of its sockets; the position is the path.
    var addresses: [SocketAddress] { get }
    var deadline: MonotonicTime? { get }
    func receive(_ datagram: inout [UInt8], path: Int, from source: SocketAddress, now: MonotonicTime)
    func handleTimeout(now: MonotonicTime)
    /// What it wants to send.
    func takeDatagrams(now: MonotonicTime) -> [Outgoing]
    /// Looks at what must always hold; returns what does not.
    func faults(now: MonotonicTime) -> [String]
}

extension Node {
    /// That of the first socket.
    var address: SocketAddress { addresses[0] }
}

struct Outgoing {
    var bytes: [UInt8]
    var path = 0
    var to: SocketAddress
}

/// What the network does to a datagram. Shares are 0 … 1.
struct Impairment {
    var loss = 0.0
    /// Of a datagram, to begin a burst in which all are lost, and the mean length of one (Gilbert-Elliott).
    var bursts = 0.0
    var burstLength = 5.0
    var duplication = 0.0
    var corruption = 0.0
    /// Milliseconds on the way; a range reorders.
    var delay: ClosedRange<Double> = 10...10

    static func random(_ generator: inout Seeded) -> Impairment {
        let shortest = Double.random(in: 1...150, using: &generator)
        return Impairment(
            loss: .random(in: 0...0.2, using: &generator), bursts: .random(in: 0...0.02, using: &generator),
            burstLength: .random(in: 1...8, using: &generator), duplication: .random(in: 0...0.2, using: &generator),
            corruption: .random(in: 0...0.05, using: &generator),
            delay: shortest...shortest + .random(in: 0...100, using: &generator))
    }
}

/// A network and a clock, both virtual and both ruled by one seed.
final class World {
    struct Datagram {
        var at: MonotonicTime
        var from: SocketAddress
        var to: SocketAddress
        var bytes: [UInt8]
    }

    let seed: UInt64
    private(set) var now = MonotonicTime.zero
    var nodes: [any Node] = []
    var impairment = Impairment()
    /// Whether a datagram is let through.
    var passes: (Datagram) -> Bool = { _ in true }
    /// Sees every datagram as it is sent.
    var observe: (Datagram) -> Void = { _ in }
    /// What a node's address looks like from elsewhere; nothing reaches the address behind it.
    var translations: [SocketAddress: SocketAddress] = [:]
    /// Addresses whose translator lets in only what comes from where something went to (RFC 4787 §5).
    var filtered: Set<SocketAddress> = []
    /// Addresses that nothing leaves and nothing reaches.
    var dead: Set<SocketAddress> = []
    var generator: Seeded
    private var inFlight: [Datagram] = []
    /// What a test does at a time.
    private var actions: [(at: MonotonicTime, do: () -> Void)] = []
    /// By the address that a translator shows: where something went to.
    private var opened: [SocketAddress: Set<SocketAddress>] = [:]
    private var isInBurst = false
    private var sentInSecond: [SocketAddress: (second: Int64, count: Int)] = [:]
    /// Nothing goes on after a fault.
    private(set) var hasFailed = false

    init(seed: UInt64) {
        self.seed = seed
        generator = Seeded(seed)
    }

    /// Lets time pass, or stops when `done` holds. Returns whether it came to hold.
    @discardableResult
    func run(for duration: Duration, until done: () -> Bool = { false }) -> Bool {
        let end = now + duration
        for node in nodes { settle(node) }
        while !hasFailed {
            if done() { return true }
            let due = nodes.compactMap(\.deadline).min()
            guard let next = [due, inFlight.first?.at, actions.first?.at].compactMap(\.self).min(), next <= end else {
                break
            }
            now = max(now, next)
            if let action = actions.first, action.at <= now {
                actions.removeFirst()
                action.do()
                for node in nodes { settle(node) }
                continue
            }
            if let datagram = inFlight.first, datagram.at <= now {
                inFlight.removeFirst()
                deliver(datagram)
            }
            for node in nodes where node.deadline.map({ $0 <= now }) ?? false {
                node.handleTimeout(now: now)
                settle(node)
                if let deadline = node.deadline, deadline <= now {
                    fail("\(node.address) has its deadline at \(deadline.nanoseconds), not after \(now.nanoseconds)")
                }
            }
        }
        now = end
        return done()
    }

    /// Has something done in a while, in the order of the times.
    func after(_ delay: Duration, _ action: @escaping () -> Void) {
        let at = now + max(delay, .zero)
        let index = actions.lastIndex { $0.at <= at }.map { $0 + 1 } ?? 0
        actions.insert((at, action), at: index)
    }

    /// Puts a datagram on the wire as it is, for it to arrive at once.
    func inject(_ bytes: [UInt8], from source: SocketAddress, to node: any Node) {
        var bytes = bytes
        node.receive(&bytes, path: 0, from: source, now: now)
        settle(node)
    }

    /// Sends what a call into a node has brought about, and looks at what must always hold.
    func settle(_ node: any Node) {
        for datagram in node.takeDatagrams(now: now) { send(datagram, from: node) }
        for fault in node.faults(now: now) { fail(fault) }
    }

    func fail(_ fault: String) {
        guard !hasFailed else { return }
        hasFailed = true
        let test = Test.current?.name.prefix { $0 != "(" } ?? "Simulation"
        Issue.record(
            "\(fault), after \((now - .zero).milliseconds) ms; again: PATCHBAY_SEED=\(seed) swift test --filter \(test)"
        )
    }

    private func send(_ outgoing: Outgoing, from node: any Node) {
        let second = now.nanoseconds / 1_000_000_000
        var sent = sentInSecond[node.address] ?? (second, 0)
        sent = sent.second == second ? (second, sent.count + 1) : (second, 1)
        sentInSecond[node.address] = sent
        if sent.count > 2000 { fail("\(node.address) sends more than 2000 datagrams a second") }

        let socket = node.addresses[outgoing.path]
        let source = translations[socket] ?? socket
        var datagram = Datagram(at: now, from: source, to: outgoing.to, bytes: outgoing.bytes)
        observe(datagram)
        if filtered.contains(socket) { opened[source, default: []].insert(outgoing.to) }
        guard !dead.contains(socket), passes(datagram), !isLost() else { return }
        datagram.at = arrival()
        if chance(impairment.corruption) {
            datagram.bytes[Int.random(in: datagram.bytes.indices, using: &generator)] ^= UInt8.random(
                in: 1...255, using: &generator)
        }
        schedule(datagram)
        if chance(impairment.duplication) {
            datagram.at = arrival()
            schedule(datagram)
        }
    }

    private func isLost() -> Bool {
        isInBurst =
            impairment.bursts > 0 && isInBurst
            ? !chance(1 / max(impairment.burstLength, 1)) : chance(impairment.bursts)
        return isInBurst || chance(impairment.loss)
    }

    private func chance(_ share: Double) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &generator) < share
    }

    private func arrival() -> MonotonicTime {
        now + .nanoseconds(Int64(Double.random(in: impairment.delay, using: &generator) * 1e6))
    }

    private func schedule(_ datagram: Datagram) {
        let index = inFlight.lastIndex { $0.at <= datagram.at }.map { $0 + 1 } ?? 0
        inFlight.insert(datagram, at: index)
    }

    private func deliver(_ datagram: Datagram) {
        for node in nodes {
            guard let path = node.addresses.firstIndex(where: { (translations[$0] ?? $0) == datagram.to }) else {
                continue
            }
            let socket = node.addresses[path]
            guard !dead.contains(socket),
                !filtered.contains(socket) || opened[datagram.to]?.contains(datagram.from) ?? false
            else { return }
            var bytes = datagram.bytes
            node.receive(&bytes, path: path, from: datagram.from, now: now)
            return settle(node)
        }
    }
}

/// The seeds of a test: `count` of them, or the one in the environment.
func seeds(_ count: UInt64) -> [UInt64] {
    if let seed = number(in: "PATCHBAY_SEED") { return [seed] }
    return Array(1...count)
}

/// The seeds of a matrix, so many a test: `count` of them, or as many as the environment says, or the one in it.
func seedRanges(_ count: UInt64, each: UInt64) -> [ClosedRange<UInt64>] {
    if let seed = number(in: "PATCHBAY_SEED") { return [seed...seed] }
    let count = max(number(in: "PATCHBAY_SEEDS") ?? count, 1)
    return stride(from: 1, through: count, by: UInt64.Stride(each)).map { $0...min($0 + each - 1, count) }
}

/// The number in a variable of the environment.
func number(in variable: String) -> UInt64? {
    ProcessInfo.processInfo.environment[variable].flatMap { UInt64($0) }
}

func address(_ host: String, _ port: UInt16) -> SocketAddress {
    SocketAddress(host, port: port) ?? SocketAddress(ipv4: 0, port: 0)
}
